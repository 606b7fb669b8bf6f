from vitreous.reports.tables import csv_table, markdown_table


def test_cells_of_csv_are_quoted_where_they_must_be_and_none_is_empty() -> None:
    assert csv_table(["a", "b"], [[1, None], ["x,y", 'say "z"']]) == 'a,b\n1,\n"x,y","say ""z"""\n'


def test_a_markdown_table_has_a_rule_below_its_head() -> None:
    assert markdown_table(("unit", "J"), [("array", "1")]) == "| unit | J |\n| --- | --- |\n| array | 1 |"
    assert markdown_table(("unit",), []) == "| unit |\n| --- |"
