//! What to try, one `curl` a line.

use crate::ports::{Port, Ports};

/// A heading, and requests below it: what is to be seen, and the command.
type Chapter = (&'static str, &'static [(&'static str, &'static str)]);

/// `GATEWAY` and `ADMIN` give way to the addresses of this run, `PORT` to the gateway's port.
const CHAPTERS: &[Chapter] = &[
    (
        "Routing: one door, three services, paths rewritten",
        &[
            ("the users service sees /users/1", "curl -i GATEWAY/api/users/1"),
            ("the query is kept", "curl 'GATEWAY/api/products?category=coffee'"),
            (
                "order something",
                r#"curl -d '{"userId":3,"items":[{"productId":7,"quantity":1}]}' GATEWAY/api/orders"#,
            ),
            ("a route by host", "curl http://shop.localhost:PORT/products/4"),
            (
                "two endpoints in turn: repeat it",
                "curl -si GATEWAY/api/products/4 | grep x-demo-service",
            ),
            ("HTTP/2 without TLS", "curl -i --http2-prior-knowledge GATEWAY/api/users/2"),
        ],
    ),
    (
        "Carrying: what a service gets to see",
        &[
            ("its headers: forwarded, via, traceparent", "curl GATEWAY/api/users/whoami"),
            (
                "your request id is kept",
                "curl -i -H 'x-request-id: my-own-id' GATEWAY/api/users/whoami",
            ),
            ("lines arrive as they are sent", "curl -N GATEWAY/api/orders/stream"),
        ],
    ),
    (
        "Refusing: each answer is a problem document with the request's id",
        &[
            ("404: no route", "curl -i GATEWAY/nothing/here"),
            ("404: prefixes are whole segments", "curl -i GATEWAY/api/users2"),
            ("405: with Allow", "curl -i -X DELETE GATEWAY/api/users/1"),
            (
                "413: the route takes 16 KiB",
                "head -c 20000 /dev/zero | curl -i --data-binary @- GATEWAY/api/orders",
            ),
            ("403: not from your address", "curl -i GATEWAY/admin/whoami"),
            (
                "200: a trusted proxy vouches for it",
                "curl -i -H 'x-forwarded-for: 10.1.2.3' GATEWAY/admin/whoami",
            ),
        ],
    ),
    (
        "Failing: the service is named, its address is not",
        &[
            ("200: slow, but in time", "curl -i GATEWAY/api/products/3/slow"),
            ("504: this route waits 1 s", "curl -i GATEWAY/api/impatient/3/slow"),
            ("502: nobody listens there", "curl -i GATEWAY/api/reviews/1"),
        ],
    ),
    (
        "Seeing",
        &[
            (
                "requests by route and status",
                "curl -s ADMIN/metrics | grep ^gateway_requests_total",
            ),
            (
                "the gateway's own share of the time",
                "curl -s ADMIN/metrics | grep '^gateway_overhead_seconds_[sc]'",
            ),
            ("may traffic come?", "curl -i ADMIN/readyz"),
            ("how is it?", "curl ADMIN/health"),
            ("the access log, as it grows", "tail -f target/demo-access.log"),
        ],
    ),
];

/// Where the comments begin; a few commands are longer.
const COLUMN: usize = 66;

/// Prints what to try.
pub fn print(ports: &Ports) {
    let gateway = ports.address(Port::GATEWAY);
    let admin = ports.address(Port::ADMIN);
    let port = gateway.port().to_string();
    println!("\nThe gateway serves conf/demo.yaml at http://{gateway}. In another terminal, try:");
    for (heading, requests) in CHAPTERS {
        println!("\n{heading}");
        for (seen, command) in *requests {
            let command = command
                .replace("GATEWAY", &gateway.to_string())
                .replace("ADMIN", &admin.to_string())
                .replace("PORT", &port);
            println!("  {command:COLUMN$}  # {seen}");
        }
    }
    println!("\nCtrl-C stops the demo.");
}
