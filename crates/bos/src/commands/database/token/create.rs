//! `bos token create`.

use clap::Args;

use super::instant;
use crate::commands::database::backend::Backend;
use crate::commands::output::{Format, Output};
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};
use api::credentials::{self, Fault, Issuer};
use client::documents::{IssuedDocument, Scope, TokenRequest, TokenStatus};
use client::{clean, read};
use service::config::Error;

/// Create a token. It is shown once.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bos token create --user anna --scope read,write --expires 90d --note gradebook"
)]
pub(crate) struct Create {
    /// User that requests with the token are made for
    #[arg(long, value_name = "USER")]
    user: String,
    /// Organisation that requests with the token are made for
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
    /// Scopes of the token: read, write, admin
    #[arg(long, value_name = "SCOPES", value_parser = scope, value_delimiter = ',')]
    #[arg(default_value = "read,write")]
    scope: Vec<Scope>,
    /// Lifetime, such as 90d; without it, until the token is revoked
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
    /// Purpose of the token
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

fn scope(word: &str) -> Result<Scope, &'static str> {
    let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
    scope.ok_or("read, write or admin is expected")
}

impl Create {
    pub(crate) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let request = TokenRequest {
            user_id: self.user,
            org_id: self.org,
            scopes: Some(self.scope),
            expires_in: self.expires,
            note: self.note,
        };
        let issued = create(global, self.settings, request).await?;
        output.one(&issued, |issued| issued.token.clone())?;
        if issued.about.status == TokenStatus::Untrusted {
            output.note(
                "This server authenticates no caller, so the token is marked as untrusted, and will be refused once auth is \
                 token or gateway. For a token that stays valid, stop the server and run the command again.",
            );
        }
        if output.format() == Format::Table {
            let about = &issued.about;
            let end = about
                .expires_at
                .map_or_else(|| "until it is revoked".to_owned(), |end| format!("until {}", instant(end)));
            output.note(&format!(
                "Token {} of user {}, valid {end}. It is shown only once: store it where others cannot read it.\n\
                 Use it: BOS_TOKEN=… bos batch list     Revoke it: bos token revoke {}",
                about.token_id,
                clean(&about.user_id),
                about.token_id
            ));
        }
        Ok(Exit::Ok)
    }
}

async fn create(
    global: &Global,
    settings: SettingsArgs,
    request: TokenRequest,
) -> anyhow::Result<IssuedDocument> {
    let acceptable = credentials::check(request.clone()).map_err(|faults| of_the_command_line(&faults))?;
    match Backend::choose(global, settings).await? {
        Backend::Server(client) => Ok(read(client.post_once("v1/tokens", &request).await?)?),
        Backend::Database(database) => {
            let store = database.open_or_create().await?;
            let issued = credentials::issue(&store, acceptable, Issuer::Trusted).await;
            store.close().await;
            Ok(issued?)
        }
    }
}

/// The faults of a request, by the flags of its fields.
fn of_the_command_line(faults: &[Fault]) -> Error {
    let flag = |field| match field {
        "user_id" => "--user",
        "org_id" => "--org",
        "scopes" => "--scope",
        "expires_in" => "--expires",
        _ => "--note",
    };
    let of =
        |fault: &Fault| service::config::Fault::new(flag(fault.field), "is not acceptable", fault.detail);
    Error(faults.iter().map(of).collect())
}
