//! `bos token create`.

use clap::Args;

use super::{TokenBackend, instant};
use crate::commands::output::{Format, Output};
use crate::commands::settings::SettingsArgs;
use crate::commands::{Exit, Global};
use api::credentials::{Scope, TokenRequest};
use client::clean;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bos token create --user anna --scope read,write --expires 90d --note gradebook"
)]
pub(crate) struct Create {
    /// Whom its bearer acts as
    #[arg(long, value_name = "USER")]
    user: String,
    /// The organisation that its bearer acts for
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
    /// What its bearer may do: read, write, admin
    #[arg(long, value_name = "SCOPES", value_parser = scope, value_delimiter = ',')]
    #[arg(default_value = "read,write")]
    scope: Vec<Scope>,
    /// How long it can be used, such as 90d; without it, until it is revoked
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
    /// What it is for
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
        let issued = TokenBackend::of(global, self.settings)?.create(request).await?;
        output.one(&issued, |issued| issued.token.clone())?;
        if output.format() == Format::Table {
            let about = &issued.about;
            let end = about
                .expires_at
                .map_or_else(|| "until it is revoked".to_owned(), |end| format!("until {}", instant(end)));
            output.note(&format!(
                "This is token {} of {}, good {end}. It is shown this once: keep it where others cannot read it.\n\
                 Next: BOS_TOKEN=… bos batch list     Take it back: bos token revoke {}",
                about.token_id,
                clean(&about.user_id),
                about.token_id
            ));
        }
        Ok(Exit::Ok)
    }
}
