// Plugins may differ by layer: `{full: {}, layers: {"2-": {window: {window: 128}}}}` is `full` everywhere but in the
// layers from 2 on. The same notation for attention, position and cache. Because there is always a base, no layer is
// left without a component.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>

#include "choices/component_choice.h"

namespace attnlab::experiment {

inline constexpr int kMaxLayers = 10'000;  // of any model

/// How layers are written, as a regular expression for the JSON Schema; that spans ascend and do not overlap is beyond
/// it.
inline constexpr std::string_view kLayersPattern =
    "^ *((0*[0-9]{1,4}|0*[0-9]{1,4} *- *(0*[0-9]{1,4})?|- *0*[0-9]{1,4})"
    "( *, *(0*[0-9]{1,4}|0*[0-9]{1,4} *- *(0*[0-9]{1,4})?|- *0*[0-9]{1,4}))*"
    "|every +0*[1-9][0-9]{0,3}( +from +0*[0-9]{1,4})?) *$";

/// Layers as they are written: `3`, `2-`, `-4`, `2-5`, `0,2,5`, `every 4`, `every 4 from 3` (3, 7, 11 ...). From 0.
class ATTNLAB_API LayerSet {
 public:
  /// None, and what is wrong with it in `fault`, if the text names no layers.
  static std::optional<LayerSet> parse(const std::string& text, std::string& fault);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  /// Those that a model of so many layers has; each once.
  [[nodiscard]] std::vector<int> layers(int count) const;
  /// The highest layer that is named outright, not by an open end; -1 if none is.
  [[nodiscard]] int highest() const noexcept;

 private:
  struct Span {
    int first = 0;
    int last = kMaxLayers - 1;
    int step = 1;
    bool open = false;  // `2-` and `every 4`: to the last layer of the model
  };
  static std::optional<Span> parse_span(std::string_view text, std::string& fault);
  static std::optional<Span> parse_every(std::string_view text, std::string& fault);

  std::string text_;
  std::vector<Span> spans_;
};

struct LayerOverride {
  LayerSet layers;
  ComponentChoice choice;
  config::Mark where;  // of the layers
};

struct ATTNLAB_API LayeredChoice {
  ComponentChoice base;
  std::vector<LayerOverride> overrides;  // which do not overlap

  /// The component of each layer of a model that has so many. Error if the choice names layers that it does not have.
  [[nodiscard]] std::vector<const ComponentChoice*> resolve(int layers) const;
  /// As YAML takes it.
  [[nodiscard]] nlohmann::ordered_json written() const;
  /// How results name it: the id, or a map as JSON where options or layers were written.
  [[nodiscard]] std::string text() const;
  /// A pattern without layers matches only what is the same in all layers.
  [[nodiscard]] bool matches(const LayeredChoice& pattern) const;
};

[[nodiscard]] std::optional<LayeredChoice> read_layered(Kind kind, const config::Node& node,
                                                        const ComponentLookup& lookup, config::ProblemList& problems);

/// From the command line: `text` is the argument of `flag` ("--attention"). Throws.
[[nodiscard]] ATTNLAB_API LayeredChoice parse_layered(Kind kind, std::string_view text, const std::string& flag,
                                                      const ComponentLookup& lookup);

}  // namespace attnlab::experiment
