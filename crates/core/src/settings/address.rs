//! Where the API and the login host are: a region, or URLs.

use reqwest::Url;

use super::reader::Reader;
use super::region;
use crate::error::Error;

/// The base URLs of the API and the login host.
pub(super) fn read(root: &Reader<'_>) -> Result<(String, String), Error> {
    let names = || region::REGIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let known = match root.text("region", 64)? {
        None => None,
        Some(name) => {
            let allowed = || format!("one of {}", names());
            Some(region::urls(name).ok_or_else(|| {
                // A secret that took the region's place is not repeated.
                if region::is_plausible(name) {
                    root.refuse("region", allowed())
                } else {
                    root.refuse_secret("region", allowed())
                }
            })?)
        }
    };
    let (api, login) = (base_url(root, "apiUrl")?, base_url(root, "loginUrl")?);
    match (known, api, login) {
        (Some((region_api, region_login)), api, login) => {
            Ok((api.unwrap_or(region_api), login.unwrap_or(region_login)))
        }
        (None, Some(api), Some(login)) => Ok((api, login)),
        (None, Some(api), None) => Ok((api.clone(), api)),
        (None, None, _) => Err(root.refuse("region", format_args!("one of {} (or give apiUrl and loginUrl)", names()))),
    }
}

fn base_url(root: &Reader<'_>, key: &'static str) -> Result<Option<String>, Error> {
    const BYTES_MAX: usize = 2_048;
    let Some(value) = root.value(key) else { return Ok(None) };
    // What is no URL may hold a password as well as one: it is not repeated.
    let refuse = || {
        let rule = "an http or https URL without credentials, query and fragment, of at most";
        root.refuse_secret(key, format_args!("{rule} {BYTES_MAX} bytes"))
    };
    let text = value.as_str().filter(|text| text.len() <= BYTES_MAX && !text.contains(char::is_control));
    let url = text.and_then(|text| Url::parse(text).ok()).ok_or_else(refuse)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        return Err(refuse());
    }
    root.note(key, &url);
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}
