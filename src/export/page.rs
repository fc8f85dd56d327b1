//! What pages of HTML are made of: no script, nothing that is loaded, and no name that could be taken for HTML.

const STYLE: &str = include_str!("html.css");
/// The end of a page that [`head`] began.
pub const FOOT: &str = "</main>\n</body>\n</html>\n";

/// The beginning of a page, up to its first heading.
pub fn head(title: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )
}

/// What stands for itself in HTML, within quotes too.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// The first cell of a row names it. Columns without names get no line for them.
pub fn table(title: &str, columns: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String]| -> String {
        row.iter()
            .enumerate()
            .map(|(i, cell)| {
                let cell = escape(cell);
                if i == 0 { format!("<th scope=\"row\">{cell}</th>") } else { format!("<td>{cell}</td>") }
            })
            .collect()
    };
    let names =
        columns.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect::<Vec<_>>().concat();
    let head = if columns.iter().all(|name| name.is_empty()) { String::new() } else { format!("<tr>{names}</tr>") };
    let body = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row))).collect::<Vec<_>>().concat();
    format!("<h2>{}</h2>\n<table>\n{head}{body}</table>\n", escape(title))
}
