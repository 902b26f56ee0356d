"""What came out: fresh seeds and statistics, files that hold the answer, tables and the report."""
