"""What was measured, as pages that need nothing from elsewhere."""

from exit.card.bench import write_card
from exit.card.board import board_of
from exit.card.report import Report, RunPart, Section, section_of, write_report

__all__ = ["Report", "RunPart", "Section", "board_of", "section_of", "write_card", "write_report"]
