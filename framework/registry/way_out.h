// What would be legal in place of a combination that is refused. Nothing is known of any component: options and
// components are tried, and what their traits then say decides.
#pragma once

#include <span>
#include <string>

#include "registry/composition.h"
#include "registry/registry.h"

namespace attnlab {

/// "use `positions: original`, or position none or rope": each resolves the clash by itself and makes no other. Empty:
/// no single change does. Attention is what is studied, so another one is named only where nothing else helps.
[[nodiscard]] std::string way_out(std::span<const Part> parts, const Clash& clash, const Registry& registry);

}  // namespace attnlab
