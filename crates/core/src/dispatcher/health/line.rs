//! Lines of what waits for its route: a gate that is shut, or a retry budget that is spent.

use std::collections::VecDeque;

use super::Health;
use super::routes::{LineEntry, RouteId};

impl Health {
    /// It waits at the end of the line of its route.
    pub(in crate::dispatcher) fn line_up(&mut self, route: RouteId, place: LineEntry) {
        let line = &mut self.routes.get_mut(route).line;
        if line.is_empty() {
            self.lines.push(route);
        }
        line.push_back(place);
    }

    /// Routes with a line; another one is first the next time, so that a long line doesn't take all connections.
    pub(in crate::dispatcher) fn next_lines(&mut self) -> Vec<RouteId> {
        let lines = self.lines.clone();
        if !self.lines.is_empty() {
            self.lines.rotate_left(1);
        }
        lines
    }

    /// All that waits in lines.
    pub(in crate::dispatcher) fn in_lines(&self) -> impl Iterator<Item = LineEntry> {
        self.lines.iter().flat_map(|route| self.routes.get(*route).line.iter().copied())
    }

    pub(in crate::dispatcher) fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }

    pub(in crate::dispatcher) fn first_in_line(&self, route: RouteId) -> Option<LineEntry> {
        self.routes.get(route).line.front().copied()
    }

    pub(in crate::dispatcher) fn leave_line(&mut self, route: RouteId) {
        let line = &mut self.routes.get_mut(route).line;
        line.pop_front();
        if line.is_empty() {
            self.lines.retain(|other| *other != route);
        }
    }

    /// The whole line, to look through it; [`Self::put_line`] gives it back.
    pub(in crate::dispatcher) fn take_line(&mut self, route: RouteId) -> VecDeque<LineEntry> {
        std::mem::take(&mut self.routes.get_mut(route).line)
    }

    pub(in crate::dispatcher) fn put_line(&mut self, route: RouteId, line: VecDeque<LineEntry>) {
        let place = &mut self.routes.get_mut(route).line;
        debug_assert!(place.is_empty(), "nobody has joined the line meanwhile");
        *place = line;
        if place.is_empty() {
            self.lines.retain(|other| *other != route);
        }
    }
}
