// Components as the host calls them: each call of a plugin's function is marked with the plugin's name while it runs
// (base/plugin_call), exceptions become a PluginError, and returned numbers are checked before they are used. All calls
// of the host into plugins go through here, so that callers need no checks of their own. Not here: what a plugin passes
// to functions of the host, which check their arguments themselves.
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
