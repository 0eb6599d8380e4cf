// The components that the host knows by name, and the only place that names plugins: the components of a model for
// which none were chosen (the defaults of an experiment), and the partners with which laws, benchmarks and templates
// try other components. What a component does is asked of the component.
#pragma once

#include <array>
#include <string_view>

namespace attnlab::experiment {

inline constexpr const char* kPlainAttention = "mha";
inline constexpr const char* kPlainPosition = "rope";
inline constexpr const char* kPlainCache = "full";
inline constexpr const char* kPlainStorage = "f32";  // what rows are held by where nothing is said
/// What a storage that rounds rows is compared with.
inline constexpr const char* kRoundedStorage = "int8";

/// A checkpoint's own attention where query heads share kv heads: groups of them, or all one.
inline constexpr const char* kGroupedAttention = "gqa";
inline constexpr const char* kSingleKvHeadAttention = "mqa";
/// Of a checkpoint with one latent row for all heads.
inline constexpr const char* kLatentAttention = "mla";
/// A table that is added to the embeddings.
inline constexpr const char* kLearnedPosition = "learned";
/// No positions at all.
inline constexpr const char* kNoPosition = "none";

/// What a component of another kind is crossed with by `check`: what differs in kind, not everything that there is.
inline constexpr std::array<std::string_view, 3> kAttentionPartners{kGroupedAttention, kSingleKvHeadAttention,
                                                                    kPlainAttention};
inline constexpr std::array<std::string_view, 3> kPositionPartners{kPlainPosition, "alibi", kNoPosition};
inline constexpr std::array<std::string_view, 3> kCachePartners{kPlainCache, "window", "h2o"};

}  // namespace attnlab::experiment
