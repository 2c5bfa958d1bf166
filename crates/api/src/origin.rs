//! Protection against web pages of others: which hosts and origins a request may name.
//!
//! A browser sends requests for any page that it shows, also to a service on this machine, and adds to them what only the browser
//! controls: `Host`, `Origin` and `Sec-Fetch-Site`. A page whose name is made to lead here (DNS rebinding) is told by `Host`, a
//! page of another site that posts a form by `Origin`. Programs that are no browsers send neither `Origin` nor `Sec-Fetch-Site`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::host::Host;
use crate::metrics::CALLERS_REFUSED;
use crate::problem::{Code, Problem};
use crate::reply::close_unread;

/// The hosts and the origins that requests may name. The default accepts all. Clones share the list.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    hosts: Hosts,
    /// Whether pages of other origins are refused.
    refuses_pages: bool,
    allowed: Arc<[Host]>,
}

/// Which hosts a request may be for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Hosts {
    #[default]
    Any,
    /// Hosts of this machine, and the allowed ones.
    Loopback,
    /// The same, and every address: probes use it, and no name server can make it lead elsewhere.
    Addresses,
}

impl Origins {
    /// The rules of a listener at `bind`.
    ///
    /// A listener on loopback accepts the hosts of this machine and the `allowed` ones. Another listener accepts every host, unless
    /// hosts are `allowed`: it cannot know its own names. Pages of other origins are refused where hosts are checked, and where no
    /// caller is authenticated (`is_open`), because there the browser's access alone is enough.
    pub fn new(bind: IpAddr, is_open: bool, allowed: &[Host]) -> Self {
        let hosts = if bind.to_canonical().is_loopback() {
            Hosts::Loopback
        } else if allowed.is_empty() {
            Hosts::Any
        } else {
            Hosts::Addresses
        };
        Self { hosts, refuses_pages: is_open || hosts != Hosts::Any, allowed: allowed.into() }
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let named = headers.get_all(header::HOST).iter().map(|host| host.to_str().ok());
        let named: Vec<Option<&str>> =
            request.uri().authority().map(|host| Some(host.as_str())).into_iter().chain(named).collect();
        if named.iter().any(|host| !self.is_host(host.and_then(Host::parse_with_port))) {
            let detail = "The request is for a host that is not served here. Use localhost or 127.0.0.1, or have the host added to \
                          the setting allowed_hosts.";
            return Err(refused("foreign_host", Code::ForeignHost, detail));
        }
        if self.refuses_pages && !self.is_page(request.method(), headers, &named) {
            let detail = "The request comes from a web page of another origin. Have the page's host added to the setting \
                          allowed_hosts if it may use this service.";
            return Err(refused("foreign_origin", Code::ForeignOrigin, detail));
        }
        Ok(())
    }

    /// Whether a request may be for this host; `None` is a host that cannot be read.
    fn is_host(&self, host: Option<Host>) -> bool {
        match self.hosts {
            Hosts::Any => true,
            Hosts::Loopback => host.is_some_and(|host| self.is_own(&host)),
            Hosts::Addresses => host.is_some_and(|host| host.is_address() || self.is_own(&host)),
        }
    }

    /// Whether the request is of no page, of a page that may use the service, or opens a page of this service.
    fn is_page(&self, method: &Method, headers: &HeaderMap, named: &[Option<&str>]) -> bool {
        let mut origins =
            headers.get_all(header::ORIGIN).iter().map(|origin| origin.to_str().ok()).peekable();
        if origins.peek().is_some() {
            return origins.all(|origin| origin.is_some_and(|origin| self.is_origin(origin, named)));
        }
        let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
        let opens_a_page = *method == Method::GET
            && says("sec-fetch-mode", "navigate")
            && says("sec-fetch-dest", "document");
        opens_a_page || !says("sec-fetch-site", "cross-site")
    }

    /// Whether pages of this origin may use the service: those of own hosts, at any port, and those of the service itself.
    fn is_origin(&self, origin: &str, named: &[Option<&str>]) -> bool {
        // An opaque origin is `null`, which has no scheme.
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let is_service = named.iter().flatten().any(|host| host.eq_ignore_ascii_case(authority));
        is_service || Host::parse_with_port(authority).is_some_and(|host| self.is_own(&host))
    }

    fn is_own(&self, host: &Host) -> bool {
        host.is_loopback() || self.allowed.contains(host)
    }
}

/// Refuses a request for a foreign host or of a foreign page, before its route and its caller are looked at.
pub(crate) async fn refuse_foreign(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    match origins.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => close_unread(&request, problem.into_response()),
    }
}

fn refused(reason: &'static str, code: Code, detail: &str) -> Problem {
    metrics::counter!(CALLERS_REFUSED, "reason" => reason).increment(1);
    Problem::new(code, detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::{Code, Host, Method, Origins, Request};

    fn code(origins: &Origins, method: &Method, headers: &[(&str, &str)]) -> Option<Code> {
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri("/v1/batch"), |request, (name, value)| {
                request.header(*name, *value)
            });
        origins.check(&request.body(Body::empty()).unwrap()).err().map(|problem| problem.code())
    }

    fn on(bind: &str, is_open: bool, allowed: &[&str]) -> Origins {
        let allowed: Vec<Host> = allowed.iter().map(|host| Host::parse(host).unwrap()).collect();
        Origins::new(bind.parse().unwrap(), is_open, &allowed)
    }

    #[test]
    fn a_listener_on_loopback_serves_only_hosts_of_this_machine_and_allowed_ones() {
        for origins in
            [on("127.0.0.1", true, &["bos.school.example"]), on("::1", false, &["BOS.school.example"])]
        {
            let get = |host: &str| code(&origins, &Method::GET, &[("host", host)]);
            for own in
                ["localhost:5000", "a.localhost", "127.0.0.1:5000", "[::1]:5000", "bos.school.example:443"]
            {
                assert_eq!(get(own), None, "{own}");
            }
            for foreign in [
                "evil.example",
                "evil.example:5000",
                "localhost.evil.example",
                "0.0.0.0:5000",
                "10.0.0.1",
                "",
            ] {
                assert_eq!(get(foreign), Some(Code::ForeignHost), "{foreign}");
            }
            assert_eq!(code(&origins, &Method::GET, &[]), None, "HTTP/1.0");
            let twice = [("host", "localhost"), ("host", "evil.example")];
            assert_eq!(code(&origins, &Method::GET, &twice), Some(Code::ForeignHost));
        }
        let absolute =
            Request::get("http://evil.example/").header("host", "localhost").body(Body::empty()).unwrap();
        assert!(on("127.0.0.1", true, &[]).check(&absolute).is_err());
    }

    #[test]
    fn another_listener_checks_names_only_where_hosts_are_allowed_and_addresses_never() {
        let (free, named) = (on("0.0.0.0", false, &[]), on("0.0.0.0", false, &["bos"]));
        let get = |origins: &Origins, host: &str| code(origins, &Method::GET, &[("host", host)]);
        assert_eq!(get(&free, "evil.example"), None);
        assert_eq!(get(&named, "evil.example"), Some(Code::ForeignHost));
        for own in ["bos:5000", "10.1.2.3:5000", "localhost"] {
            assert_eq!(get(&named, own), None, "{own}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused_where_no_caller_is_authenticated_or_hosts_are_checked() {
        for origins in [on("127.0.0.1", false, &["app.example"]), on("0.0.0.0", true, &["app.example"])] {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
                let from =
                    |origin: &str| code(&origins, &method, &[("host", "127.0.0.1:5000"), ("origin", origin)]);
                for own in ["http://127.0.0.1:5000", "http://localhost:3000", "https://app.example"] {
                    assert_eq!(from(own), None, "{own}");
                }
                for foreign in
                    ["https://evil.example", "null", "http://10.0.0.9", "chrome-extension://abcdef", ""]
                {
                    assert_eq!(from(foreign), Some(Code::ForeignOrigin), "{method} {foreign}");
                }
            }
            let two = [("origin", "http://localhost"), ("origin", "https://evil.example")];
            assert_eq!(code(&origins, &Method::POST, &two), Some(Code::ForeignOrigin));
        }
        let page = [("host", "bos:5000"), ("origin", "http://bos:5000")];
        assert_eq!(
            code(&on("0.0.0.0", true, &[]), &Method::POST, &page),
            None,
            "a page of the service itself"
        );
        let other = [("host", "bos:5000"), ("origin", "https://evil.example")];
        assert_eq!(code(&on("0.0.0.0", true, &[]), &Method::POST, &other), Some(Code::ForeignOrigin));
        assert_eq!(code(&on("0.0.0.0", false, &[]), &Method::POST, &other), None, "the caller has a token");
    }

    #[test]
    fn a_cross_site_request_without_an_origin_may_only_open_a_page() {
        let origins = on("127.0.0.1", true, &["app.example"]);
        let site = ("sec-fetch-site", "cross-site");
        let (navigate, document) = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"));
        let foreign = Some(Code::ForeignOrigin);
        assert_eq!(code(&origins, &Method::GET, &[site, navigate, document]), None, "a link was followed");
        assert_eq!(code(&origins, &Method::POST, &[site, navigate, document]), foreign);
        assert_eq!(code(&origins, &Method::GET, &[site, navigate, ("sec-fetch-dest", "iframe")]), foreign);
        assert_eq!(code(&origins, &Method::GET, &[site, ("sec-fetch-mode", "no-cors")]), foreign);
        for own in ["same-origin", "same-site", "none"] {
            assert_eq!(code(&origins, &Method::GET, &[("sec-fetch-site", own)]), None, "{own}");
        }
        let app = [site, ("origin", "https://app.example")];
        assert_eq!(code(&origins, &Method::POST, &app), None, "an allowed page is of another site");
    }
}
