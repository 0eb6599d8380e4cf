// Sound as a plugin, so it is loaded; its components cannot be made: one factory throws, one throws no exception of the
// standard library, one returns null.
#include <stdexcept>

#include "plugins/broken/parts.h"

namespace {

enum class Ending { exception, number, null };

template <Ending kEnding>
std::unique_ptr<attnlab::PositionScheme> create(const attnlab::OptionValues&, const attnlab::CreateContext&) {
  if constexpr (kEnding == Ending::exception) throw std::runtime_error("the tables are sold out");
  if constexpr (kEnding == Ending::number) throw 42;
  return nullptr;
}

template <Ending kEnding>
constexpr attnlab::Component<attnlab::PositionScheme> ending(std::string_view id) {
  auto component = attnlab::component<attnlab::PositionScheme, attnlab::broken::IdlePosition>(
      {.id = id, .summary = "Cannot be made.", .reference = "none"});
  component.create = &create<kEnding>;
  return component;
}

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {ending<Ending::exception>("throwing"),
                                                                     ending<Ending::number>("throwing_number"),
                                                                     ending<Ending::null>("returns_null")};

}  // namespace

ATTNLAB_PLUGIN(.name = "bad_factory", .version = "1.0", .position = kPosition,
               .cache = attnlab::broken::kCache<"no_cache_made">);
