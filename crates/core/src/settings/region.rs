//! Genesys Cloud's regions (<https://developer.genesys.cloud/platform/api/>, read 2026): the domain behind each name.

/// Region names and their domains; the API is at `api.<domain>`, the login at `login.<domain>`.
pub const REGIONS: [(&str, &str); 18] = [
    ("us-east-1", "mypurecloud.com"),
    ("us-east-2", "use2.us-gov-pure.cloud"),
    ("us-west-2", "usw2.pure.cloud"),
    ("ca-central-1", "cac1.pure.cloud"),
    ("sa-east-1", "sae1.pure.cloud"),
    ("mx-central-1", "mxc1.pure.cloud"),
    ("eu-west-1", "mypurecloud.ie"),
    ("eu-west-2", "euw2.pure.cloud"),
    ("eu-central-1", "mypurecloud.de"),
    ("eu-central-2", "euc2.pure.cloud"),
    ("eusc-de-east-1", "edee1.eusc-pure.cloud"),
    ("me-central-1", "mec1.pure.cloud"),
    ("ap-southeast-1", "apse1.pure.cloud"),
    ("ap-southeast-2", "mypurecloud.com.au"),
    ("ap-northeast-1", "mypurecloud.jp"),
    ("ap-northeast-2", "apne2.pure.cloud"),
    ("ap-northeast-3", "apne3.pure.cloud"),
    ("ap-south-1", "aps1.pure.cloud"),
];

/// Whether a name looks like a region: a short word, or words and numbers between hyphens.
pub(super) fn is_plausible(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_hyphened = name.contains('-') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    name.len() <= 20 && (is_word || is_hyphened)
}

/// The API and login base URLs of a region.
///
/// ```
/// use spillway_core::settings::region::urls;
///
/// let (api, login) = urls("us-east-1").expect("it is a region");
/// assert_eq!((api.as_str(), login.as_str()), ("https://api.mypurecloud.com", "https://login.mypurecloud.com"));
/// ```
pub fn urls(region: &str) -> Option<(String, String)> {
    let (_, domain) = REGIONS.iter().find(|(name, _)| *name == region)?;
    Some((format!("https://api.{domain}"), format!("https://login.{domain}")))
}
