//! The limits of single routes.

use std::collections::HashMap;

use crate::config::{Config, QuotaPer, RouteRule};
use crate::limit::Limit;
use crate::request::Request;

/// Paths of one route with a quota of their own that are remembered at once; when there are more, all are forgotten.
const PATHS_MAX: usize = 10_000;

/// What has been spent of each route's quota, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Routes {
    limits: Vec<RouteLimit>,
}

#[derive(Debug)]
enum RouteLimit {
    Shared(Limit),
    PerPath(HashMap<String, Limit>),
}

impl RouteLimit {
    fn new(rule: &RouteRule) -> Self {
        match rule.quota_per {
            QuotaPer::Route => Self::Shared(Limit::new(&rule.quotas)),
            QuotaPer::Path => Self::PerPath(HashMap::new()),
        }
    }
}

impl Routes {
    /// With nothing spent.
    pub(super) fn new(config: &Config) -> Self {
        Self { limits: config.routes.iter().map(RouteLimit::new).collect() }
    }

    /// From now on as `new` says. A route that keeps its place and its quota keeps what has been spent of it.
    pub(super) fn set(&mut self, old: &Config, new: &Config) {
        let mut before = std::mem::take(&mut self.limits).into_iter();
        for (index, rule) in new.routes.iter().enumerate() {
            let spent = before.next().filter(|_| old.routes[index].has_the_limits_of(rule));
            self.limits.push(spent.unwrap_or_else(|| RouteLimit::new(rule)));
        }
    }

    /// The number of the request's route in the configuration.
    pub(super) fn find(config: &Config, request: &Request<'_>) -> Option<usize> {
        config.routes.iter().position(|rule| rule.matches(request.method, request.path()))
    }

    /// The limit of a request of this route, if the route has one.
    pub(super) fn limit(&mut self, config: &Config, index: usize, path: &str) -> Option<&mut Limit> {
        let rule = config.routes.get(index).filter(|rule| !rule.quotas.is_empty())?;
        match self.limits.get_mut(index)? {
            RouteLimit::Shared(limit) => Some(limit),
            RouteLimit::PerPath(limits) => {
                if limits.len() >= PATHS_MAX && !limits.contains_key(path) {
                    limits.clear();
                }
                Some(limits.entry(path.to_owned()).or_insert_with(|| Limit::new(&rule.quotas)))
            }
        }
    }
}
