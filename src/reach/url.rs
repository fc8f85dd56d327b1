//! Addresses on the network: which are asked at all, and where a redirect may lead.

use std::net::{IpAddr, Ipv6Addr};

/// An address taken apart: `https`, `host:port`, `/path?query`.
struct Parts<'a> {
    scheme: &'a str,
    authority: &'a str,
    rest: &'a str,
}

fn parts(url: &str) -> Option<Parts<'_>> {
    let (scheme, after) = url.split_once("://")?;
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    Some(Parts { scheme, authority, rest })
}

/// Refuses addresses that are not those of a web server, in words.
pub fn check(url: &str) -> Result<(), String> {
    let Some(parts) = parts(url).filter(|parts| ["http", "https"].contains(&parts.scheme)) else {
        return Err("an address begins with https:// or http://".to_owned());
    };
    if parts.authority.contains('@') {
        return Err("an address holds no user and no password: addresses are written into files".to_owned());
    }
    if !url.chars().all(|c| c.is_ascii_graphic()) {
        return Err("an address has a host, and plain letters only".to_owned());
    }
    let (host, port) = host_and_port(parts.authority).ok_or("an address of IPv6 stands in brackets, [::1]")?;
    if host.is_empty() {
        return Err("an address has a host, and plain letters only".to_owned());
    }
    port.map_or(Ok(()), check_port)
}

/// The host of `host:port` or `[::1]:port`, and the port where one is named.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    // One that ends on the colon names none (RFC 3986, 3.2.3).
    (!host.contains(':') || authority.starts_with('[')).then_some((host, port.filter(|port| !port.is_empty())))
}

/// Refuses what is no port, in words.
pub fn check_port(said: &str) -> Result<(), String> {
    let is_port = said.bytes().all(|digit| digit.is_ascii_digit()) && said.parse::<u16>().is_ok_and(|port| port > 0);
    if is_port {
        Ok(())
    } else {
        Err(format!("a port is a number from 1 to 65535, not {}", crate::files::printable(said)))
    }
}

/// Gives an address for messages, without what may hold a password or a token: all before an `@`, and all behind a `?` or a `#`.
pub fn shown(url: &str) -> String {
    let (scheme, rest) = url.find("://").map_or(("", url), |at| url.split_at(at + 3));
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, host)| ("…@", host));
    let (rest, query) = rest.find(['?', '#']).map_or((rest, ""), |at| (&rest[..=at], "…"));
    crate::files::printable(&format!("{scheme}{user}{rest}{query}")).to_string()
}

/// Where a redirect from `url` leads; an error in words where it may not. A secure connection never becomes an open one, except to this
/// very machine.
pub fn redirected(url: &str, location: &str) -> Result<String, String> {
    let to = join(url, location);
    check(&to).map_err(|what| format!("the server redirects to {}: {what}", shown(&to)))?;
    if url.starts_with("https://") && !to.starts_with("https://") && !is_loopback(&to) {
        return Err(format!("the server redirects from a secure address to an open one, {}", shown(&to)));
    }
    Ok(to)
}

/// `location` as seen from `url`. Source: RFC 3986, 5.2, less what servers of files do not use.
pub fn join(url: &str, location: &str) -> String {
    let location = location.split('#').next().unwrap_or_default();
    if location.split_once("://").is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric())) {
        return location.to_owned();
    }
    let Some(Parts { scheme, authority, rest }) = parts(url) else { return location.to_owned() };
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    if location.starts_with('/') {
        return format!("{scheme}://{authority}{location}");
    }
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    let mut location = location;
    while let Some(rest) = location.strip_prefix("../") {
        location = rest;
        if folders.len() > 1 {
            folders.pop();
        }
    }
    let folders = if folders.is_empty() { vec![""] } else { folders };
    format!("{scheme}://{authority}{}/{location}", folders.join("/"))
}

/// Whether an address is of this very machine.
pub fn is_loopback(url: &str) -> bool {
    let Some(Parts { authority, .. }) = parts(url) else { return false };
    let Some((host, _)) = host_and_port(authority) else { return false };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_a_message_shows_no_password_and_no_token() {
        for (url, told) in [
            ("http://joe:SECRET@h:9/x", "http://…@h:9/x"),
            ("joe:SECRET@h/x", "…@h/x"),
            ("http://h/x?token=SECRET", "http://h/x?…"),
            ("http://:SE?C#RET@/", "http://…@/"),
            ("https://h/x", "https://h/x"),
        ] {
            assert_eq!(shown(url), told);
        }
    }

    #[test]
    fn a_port_that_there_is_not_is_refused_wherever_an_address_is_read() {
        for good in ["http://h", "http://h:", "http://h:1/", "https://h:65535?x", "http://[::1]", "http://[::1]:80/a"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, said) in [
            ("http://h:65536/", "from 1 to 65535, not 65536"),
            ("http://h:99999999999999999999", "from 1 to 65535"),
            ("http://h:0/", "from 1 to 65535, not 0"),
            ("http://h:+80/", "from 1 to 65535"),
            ("http://h:-1/", "from 1 to 65535"),
            ("http://h:80a/", "from 1 to 65535"),
            ("http://[::1]:70000/", "from 1 to 65535"),
            ("http://h:80:81/", "from 1 to 65535"),
            ("http://[::1", "in brackets"),
            ("http://[::1]x/", "in brackets"),
            ("http://[localhost]/", "in brackets"),
            ("http://::1/", "an address has a host"),
            ("http://:80/", "an address has a host"),
        ] {
            assert!(check(bad).is_err_and(|why| why.contains(said)), "{bad}: {:?}", check(bad));
        }
        assert!(redirected("http://h/a", "http://h:65536/").unwrap_err().contains("from 1 to 65535"));
    }

    #[test]
    fn a_location_is_read_as_seen_from_where_it_was_given() {
        let base = "https://h:1/a/b/c?x=/y";
        for (location, to) in [
            ("https://o/p", "https://o/p"),
            ("//o/p", "https://o/p"),
            ("/p?q#r", "https://h:1/p?q"),
            ("d", "https://h:1/a/b/d"),
            ("../../d", "https://h:1/d"),
            ("../../../../d", "https://h:1/d"),
        ] {
            assert_eq!(join(base, location), to);
        }
        assert_eq!(join("https://h", "d"), "https://h/d");
    }

    #[test]
    fn a_secure_address_leads_to_no_open_one_but_to_this_machine() {
        assert!(redirected("https://h/a", "http://o/a").unwrap_err().contains("from a secure address"));
        for to in ["http://localhost:8/a", "http://127.0.0.2/a", "http://[::1]:8/a", "https://o/a"] {
            assert_eq!(redirected("https://h/a", to).unwrap(), to);
        }
        assert_eq!(redirected("http://h/a", "http://o/a").unwrap(), "http://o/a");
        assert!(!is_loopback("http://localhost.example/a") && !is_loopback("http://1.2.3.4/a"));
        for bad in ["file:///etc/passwd", "ftp://h/a", "http://u:p@h/a", "http:///a", "http://h/\u{e9}"] {
            assert!(redirected("http://h/a", bad).is_err(), "{bad}");
        }
    }
}
