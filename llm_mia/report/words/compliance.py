"""What a finding about training data means in catalogues of threats and in data protection law; no legal advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COMPLIANCE", "NO_LEGAL_ADVICE", "Reference"]


@dataclass(frozen=True, slots=True)
class Reference:
    """An entry of a catalogue or a law, and what it has to do with this report."""

    name: str
    text: str
    link: str


NO_LEGAL_ADVICE = (
    "This list is orientation, not legal advice. It names what others have published; whether any of it applies "
    "depends on the texts, on the people in them, and on who trained the model and where. Ask counsel."
)
COMPLIANCE: Sequence[Reference] = (
    Reference(
        "MITRE ATLAS AML.T0024.000",
        "Infer Training Data Membership: the technique that this report applies, as a test of the model.",
        "https://atlas.mitre.org/techniques/AML.T0024.000",
    ),
    Reference(
        "OWASP ML04:2023",
        "Membership Inference Attack, in the Machine Learning Security Top 10. Some catalogues print it as ML06.",
        "https://owasp.org/www-project-machine-learning-security-top-10/",
    ),
    Reference(
        "OWASP AISVS 11.3 and 11.5",
        "11.3 Membership-Inference Mitigation asks that simulated attacks are not meaningfully better than guessing on "
        "held-out data; the rates in this report measure that. 11.5 Model-Extraction Defense is about limits on "
        "queries, which also slow down such attacks; this report does not test them.",
        "https://github.com/OWASP/AISVS",
    ),
    Reference(
        "EDPB Opinion 28/2024",
        "The European Data Protection Board, 17 December 2024: whether a model trained on personal data is anonymous "
        "is decided case by case. Both the likelihood that personal data can be extracted from it and the likelihood "
        "that queries give them must be insignificant. Tests by membership inference are part of the evidence that "
        "the opinion lists.",
        "https://www.edpb.europa.eu/our-work-tools/our-documents/opinion-board-art-64/"
        "opinion-282024-certain-data-protection-aspects_en",
    ),
    Reference(
        "GDPR",
        "If a text concerns an identifiable person, a confirmed membership is information about the processing of "
        "that person's data (Article 4). Requests for access and erasure (Articles 15 and 17) may then concern the "
        "training data and, where the model is not anonymous, the model.",
        "https://eur-lex.europa.eu/eli/reg/2016/679/oj",
    ),
    Reference(
        "CCPA",
        "Since 1 January 2025 (AB 1008) personal information can exist in abstract digital formats, among them AI "
        "systems that are capable of outputting it (Cal. Civ. Code § 1798.140). A membership does not by itself show "
        "that the model outputs the text; an extraction does.",
        "https://leginfo.legislature.ca.gov/faces/billNavClient.xhtml?bill_id=202320240AB1008",
    ),
    Reference(
        "HIPAA",
        "Where the texts are records about patients, membership alone can reveal that a person was treated. It bears "
        "on whether data were de-identified (45 CFR 164.514) and whether there was a breach (45 CFR 164.402).",
        "https://www.ecfr.gov/current/title-45/subtitle-A/subchapter-C/part-164",
    ),
)
"""What each catalogue or law has to do with a confirmed membership."""
