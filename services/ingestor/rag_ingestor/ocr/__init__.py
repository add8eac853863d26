"""Recognises the text of scanned pages and images (OCR)."""
