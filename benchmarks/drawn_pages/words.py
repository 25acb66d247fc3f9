"""Words that the drawn pages are made of; none has a digit in it."""

WORDS = (
    "Barley", "Flour", "Oil", "Nails", "Rope", "Salt", "Soap", "Tea", "Timber", "Wool", "Cash", "Loans", "Deposits",
    "Reserves", "Shares", "Bonds", "Fees", "Rent", "Wages", "Taxes", "Stock", "Plant", "Assets", "Income",
    "Interest", "Transport", "Repairs", "Fuel", "Paper", "Postage", "Insurance", "Other", "Advances", "Balance",
    "Foreign", "Domestic", "Short", "Notice", "Fixed", "Current", "Paid", "Capital", "Borrowings", "Liabilities",
)  # fmt: skip
"""What tables list and letters speak of."""
SMALL_WORDS = (
    "the", "of", "and", "to", "in", "is", "for", "on", "that", "with", "as", "by", "at", "from", "this", "be",
    "are", "or", "which", "has", "not", "an", "will",
)  # fmt: skip
"""What stands between them."""
SUBJECTS = (
    "Math", "Physics", "History", "English", "Biology", "Art", "Music", "Latin", "French", "Drawing", "Civics",
    "Sports", "Botany", "Logic",
)  # fmt: skip
"""Heads of marks."""
NAMES = (
    "Ann", "Ben", "Carla", "Dev", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jon", "Kim", "Lea", "Max", "Nora", "Otto",
    "Pia", "Rao", "Sam", "Tara", "Uma", "Vik", "Wim", "Yan", "Zoe",
)  # fmt: skip
"""Names of people."""
FIELD_LABELS = (
    "Number of persons", "Meter reading", "Total paid", "Distance in km", "Weight", "Invoice no.", "Age",
    "Quantity", "Price per piece", "Postcode", "Telephone", "Hours worked", "Temperature", "Order number",
    "Amount due", "Customer no.",
)  # fmt: skip
"""Labels of a form's fields."""
BOX_LABELS = (
    "Student number", "Date of birth", "Account", "Telephone", "Postcode", "Policy", "Meter reading", "Invoice",
    "Customer", "Valid from",
)  # fmt: skip
"""Labels of rows of boxes."""
QUANTITIES = (
    "BAROMETER", "THERMOMETER", "RAIN", "WIND", "LEVEL", "WEIGHT", "LENGTH", "DEPTH", "PRICE", "YIELD",
)  # fmt: skip
"""Heads of a register's columns."""
MONTHS = (
    "JANUARY", "MARCH", "APRIL", "MAY", "JUNE", "AUGUST", "OCTOBER",
)  # fmt: skip
"""Months, as a register names them."""
