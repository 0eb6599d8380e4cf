// Components as the host calls them: each call of a plugin's function says whose it is while it runs
// (base/plugin_call), what it throws becomes a PluginError, and the numbers that come back are looked at before they
// are used. The one place where the host's calls enter plugins, so that no caller has to think of it. Not here: what a
// plugin passes to functions of the host; those look at their arguments themselves.
#pragma once

#include <memory>

#include <attnlab/attention_variant.h>
#include <attnlab/cache_policy.h>
#include <attnlab/position_scheme.h>
#include <attnlab/storage.h>

#include "base/plugin_call.h"

namespace attnlab {

/// The callee outlives what is made here. PluginError where a shape or a state cannot be.
[[nodiscard]] std::unique_ptr<AttentionVariant> guarded(Callee& callee, std::unique_ptr<AttentionVariant> attention);
[[nodiscard]] std::unique_ptr<PositionScheme> guarded(Callee& callee, std::unique_ptr<PositionScheme> position);
[[nodiscard]] std::unique_ptr<CachePolicy> guarded(Callee& callee, std::unique_ptr<CachePolicy> policy);
[[nodiscard]] std::unique_ptr<Storage> guarded(Callee& callee, std::unique_ptr<Storage> storage);

/// The attention whose `forward` returned last on this thread; null: none did. What it appended to a cache shows at the
/// chunk's end.
[[nodiscard]] Callee* last_attention() noexcept;

/// The parameters that a component declares; PluginError where one of them cannot be.
[[nodiscard]] std::vector<ParameterSpec> declared_parameters(Callee& callee, const Module& module);

}  // namespace attnlab
