"""The tests; the folder says what one costs: unit < contract < integration < simulation < e2e."""
