//! `bos token create`.

use clap::Args;

use super::{Desk, instant};
use crate::cli::config::SettingsArgs;
use crate::cli::output::{Format, Output, clean};
use crate::cli::{Exit, Global};
use crate::tokens::{Scope, TokenRequest};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bos token create --user anna --scope read,write --expires 90d --note gradebook"
)]
pub(super) struct Create {
    /// Whom its bearer acts as
    #[arg(long, value_name = "USER")]
    user: String,
    /// The organisation that its bearer acts for
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
    /// What its bearer may do: read, write, admin
    #[arg(long, value_name = "SCOPES", value_enum, value_delimiter = ',', default_value = "read,write")]
    #[arg(hide_possible_values = true)]
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

impl Create {
    pub(super) async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let request = TokenRequest {
            user_id: self.user,
            org_id: self.org,
            scopes: Some(self.scope),
            expires_in: self.expires,
            note: self.note,
        };
        let issued = Desk::of(global, self.settings)?.create(request).await?;
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
