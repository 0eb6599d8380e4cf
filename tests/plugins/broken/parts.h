// What the broken plugins share: components that would work, so that each plugin is wrong in one way only.
#pragma once

#include <algorithm>
#include <memory>

#include <attnlab/plugin.h>

namespace attnlab::broken {

/// A text as a template argument.
template <std::size_t Size>
struct Name {
  char text[Size];
  consteval Name(const char (&from)[Size]) { std::copy_n(from, Size, text); }
  [[nodiscard]] constexpr std::string_view view() const { return {text, Size - 1}; }
};

/// A cache policy whose `create` is never called.
class IdleCache final : public CachePolicy {
 public:
  IdleCache(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {}; }
  std::unique_ptr<LayerCache> create(const LayerCacheContext&) const override { return nullptr; }
};

class IdlePosition final : public PositionScheme {
 public:
  IdlePosition(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {}; }
};

template <Name kId>
inline constexpr Component<CachePolicy> kCache[] = {
    component<CachePolicy, IdleCache>({.id = kId.view(), .summary = "Of a broken plugin.", .reference = "none"})};

template <Name kId>
inline constexpr Component<PositionScheme> kPosition[] = {
    component<PositionScheme, IdlePosition>({.id = kId.view(), .summary = "Of a broken plugin.", .reference = "none"})};

}  // namespace attnlab::broken
