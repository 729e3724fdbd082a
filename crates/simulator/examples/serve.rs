//! Serves until a line, or the end, of standard input: `cargo run --release -p spillway-simulator --example serve --
//! '{"port":8080}'`.
#![allow(clippy::print_stdout, reason = "an example talks to who runs it")]

use std::error::Error;

use spillway_simulator::{Config, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let json = std::env::args().nth(1).unwrap_or_else(|| "{}".to_owned());
    let server = Server::start(Config::from_json(&json)?)?;
    println!("{}", server.url());
    std::io::stdin().read_line(&mut String::new())?;
    println!("{}", server.ledger_json(false));
    Ok(())
}
