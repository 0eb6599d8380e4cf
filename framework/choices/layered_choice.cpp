#include "choices/layered_choice.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/scalars.h"

namespace attnlab::experiment {
namespace {

using config::Node;
using config::ProblemList;

constexpr const char* kForms = "write 3, 2-, -4, 2-5, \"0,2,5\", every 4 or every 4 from 3";

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<int> parse_layer(std::string_view text, std::string& fault) {
  text = trimmed(text);
  int layer = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), layer);
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  if (!is_number) {
    fault = text.empty() ? "a number is missing" : fmt::format("{} is no number", config::in_quotes(text));
  } else if (failure != std::errc() || layer >= kMaxLayers) {
    fault = fmt::format("{} is outside 0..{}", text, kMaxLayers - 1);
  } else {
    return layer;
  }
  return std::nullopt;
}

}  // namespace

std::optional<LayerSet::Span> LayerSet::parse_span(std::string_view text, std::string& fault) {
  text = trimmed(text);
  const std::size_t dash = text.find('-');
  if (dash == text.npos) {
    const auto layer = parse_layer(text, fault);
    if (!layer) return std::nullopt;
    return Span{.first = *layer, .last = *layer};
  }
  Span span;
  const std::string_view first = trimmed(text.substr(0, dash));
  const std::string_view last = trimmed(text.substr(dash + 1));
  span.open = last.empty();
  if (!first.empty() || last.empty()) {
    const auto layer = parse_layer(first, fault);
    if (!layer) return std::nullopt;
    span.first = *layer;
  }
  if (!last.empty()) {
    const auto layer = parse_layer(last, fault);
    if (!layer) return std::nullopt;
    span.last = *layer;
  }
  if (span.last < span.first) {
    fault = "the range ends before it begins";
    return std::nullopt;
  }
  return span;
}

// `4` or `4 from 3`.
std::optional<LayerSet::Span> LayerSet::parse_every(std::string_view text, std::string& fault) {
  const std::size_t from = text.find(" from ");
  const auto step = parse_layer(text.substr(0, from), fault);
  if (!step) return std::nullopt;
  if (*step == 0) {
    fault = "0 is no distance";
    return std::nullopt;
  }
  const auto first = from == text.npos ? 0 : parse_layer(text.substr(from + 6), fault);
  if (!first) return std::nullopt;
  return Span{.first = *first, .step = *step, .open = true};
}

std::optional<LayerSet> LayerSet::parse(const std::string& text, std::string& fault) {
  LayerSet set;
  set.text_ = trimmed(text);
  std::string_view rest = set.text_;
  if (rest.starts_with("every ")) {
    const auto span = parse_every(rest.substr(6), fault);
    if (!span) return std::nullopt;
    set.spans_.push_back(*span);
    return set;
  }
  std::vector<bool> named(kMaxLayers);
  while (true) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const auto span = parse_span(rest.substr(0, comma), fault);
    if (!span) return std::nullopt;
    for (int layer = span->first; layer <= span->last; ++layer) {
      if (named[layer]) {
        fault = fmt::format("layer {} stands there twice", layer);
        return std::nullopt;
      }
      named[layer] = true;
    }
    set.spans_.push_back(*span);
    if (comma == rest.size()) return set;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<int> LayerSet::layers(int count) const {
  std::vector<int> layers;
  for (const Span& span : spans_)
    for (int layer = span.first; layer <= std::min(span.last, count - 1); layer += span.step) layers.push_back(layer);
  return layers;
}

int LayerSet::highest() const noexcept {
  int highest = -1;
  for (const Span& span : spans_) highest = std::max(highest, span.open ? span.first : span.last);
  return highest;
}

std::vector<const ComponentChoice*> LayeredChoice::resolve(int layers) const {
  ProblemList problems;
  for (const LayerOverride& part : overrides) {
    if (part.layers.highest() >= layers) {
      problems.add(part.where,
                   fmt::format("there is no layer {} in a model of {} layers", part.layers.highest(), layers),
                   fmt::format("layers are 0..{}", layers - 1));
    }
  }
  problems.throw_if_any();
  std::vector<const ComponentChoice*> choices(static_cast<std::size_t>(layers), &base);
  for (const LayerOverride& part : overrides)
    for (const int layer : part.layers.layers(layers)) choices[static_cast<std::size_t>(layer)] = &part.choice;
  return choices;
}

nlohmann::ordered_json LayeredChoice::written() const {
  if (overrides.empty()) return base.written;
  nlohmann::ordered_json layers = nlohmann::ordered_json::object();
  for (const LayerOverride& part : overrides) layers[part.layers.text()] = part.choice.written;
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  all[base.id] = base.written.is_object() ? base.written[base.id] : nlohmann::ordered_json::object();
  all["layers"] = std::move(layers);
  return all;
}

std::string LayeredChoice::text() const {
  const nlohmann::ordered_json json = written();
  return json.is_string() ? json.get<std::string>() : json.dump();
}

bool LayeredChoice::matches(const LayeredChoice& pattern) const {
  return base.matches(pattern.base) &&
         std::ranges::equal(overrides, pattern.overrides, [](const LayerOverride& own, const LayerOverride& wanted) {
           return own.layers.text() == wanted.layers.text() && own.choice.matches(wanted.choice);
         });
}

namespace {

void read_overrides(Kind kind, const Node& layers, LayeredChoice& choice, const ComponentLookup& lookup,
                    ProblemList& problems) {
  if (!layers.is_map()) {
    problems.add(layers.mark(), fmt::format("layers: expected a map, got {}", config::describe(layers)), kForms);
    return;
  }
  std::vector<const LayerOverride*> owners(kMaxLayers);
  choice.overrides.reserve(layers.entries().size());  // owners point into it
  for (const Node::Entry& entry : layers.entries()) {
    std::string fault;
    const auto set = LayerSet::parse(entry.key, fault);
    auto component = read_component(kind, entry.value, lookup, problems);
    if (!set) {
      problems.add(entry.key_mark, fmt::format("layers {}: {}", config::in_quotes(entry.key), fault), kForms);
      continue;
    }
    if (!component) continue;
    const std::vector<int> named = set->layers(kMaxLayers);
    const auto taken = std::ranges::find_if(named, [&](int layer) { return owners[layer] != nullptr; });
    if (taken != named.end()) {
      const LayerOverride& owner = *owners[*taken];
      problems.add(entry.key_mark, fmt::format("layers {}: layer {} is also in {} at {}", config::in_quotes(entry.key),
                                               *taken, config::in_quotes(owner.layers.text()), owner.where.text()));
      continue;
    }
    choice.overrides.push_back({*set, *std::move(component), entry.key_mark});
    for (const int layer : named) owners[layer] = &choice.overrides.back();
  }
}

}  // namespace

std::optional<LayeredChoice> read_layered(Kind kind, const Node& node, const ComponentLookup& lookup,
                                          ProblemList& problems) {
  const Node* layers = node.find("layers");
  LayeredChoice choice;
  if (layers == nullptr) {
    auto base = read_component(kind, node, lookup, problems);
    if (!base) return std::nullopt;
    choice.base = *std::move(base);
    return choice;
  }
  std::vector<Node::Entry> entries = node.entries();
  std::erase_if(entries, [](const Node::Entry& entry) { return entry.key == "layers"; });
  auto base = read_component(kind, Node::map(node.mark(), std::move(entries)), lookup, problems);
  if (base) choice.base = *std::move(base);
  read_overrides(kind, *layers, choice, lookup, problems);
  if (choice.base.id.empty()) return std::nullopt;
  return choice;
}

LayeredChoice parse_layered(Kind kind, std::string_view text, const std::string& flag, const ComponentLookup& lookup) {
  ProblemList problems;
  auto choice = read_layered(kind, config::parse_argument(text, flag), lookup, problems);
  problems.throw_if_any();
  return *std::move(choice);
}

}  // namespace attnlab::experiment
