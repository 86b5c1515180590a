"""The language of Waybill and the log it is written in. Imports nothing else of ours."""
