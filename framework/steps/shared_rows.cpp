// Buffers that layers share in one forward pass: kept between passes, so that a decode step allocates nothing.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include <attnlab/error.h>
#include <attnlab/steps.h>

namespace attnlab {

struct Steps::Shared {
  std::string name;
  bool is_there = false;  // in this pass
  std::int64_t tokens = 0, heads = 0, width = 0;
  std::vector<float> values;

  void resize(std::int64_t tokens_, std::int64_t heads_, std::int64_t width_) {
    tokens = tokens_;
    heads = heads_;
    width = width_;
    const auto count = static_cast<std::size_t>(tokens * heads * width);
    if (values.size() < count) values.resize(count);
    is_there = true;
  }
};

Steps::Steps(Scratch& scratch) : scratch_(scratch) {}
Steps::~Steps() = default;
void Steps::constant(std::span<const float>) {}
void Steps::record(const Touched&, std::function<void(Gradients&)>) {}

void Steps::forget_shared() noexcept {
  for (const auto& entry : shared_) entry->is_there = false;
}

Steps::Shared& Steps::shared_entry(std::string_view name) {
  const auto found = std::ranges::find_if(shared_, [&](const auto& entry) { return entry->name == name; });
  if (found != shared_.end()) return **found;
  shared_.push_back(std::make_unique<Shared>());
  shared_.back()->name = name;
  return *shared_.back();
}

TensorView<float, 3> Steps::share(std::string_view name, std::int64_t tokens, std::int64_t heads, std::int64_t width) {
  Shared& entry = shared_entry(name);
  if (entry.is_there)
    throw Error("", fmt::format("two layers share \"{}\" in one forward pass", name), "a name has one writer");
  entry.resize(tokens, heads, width);
  return {entry.values.data(), {tokens, heads, width}};
}

TensorView<const float, 3> Steps::shared(std::string_view name, std::int64_t tokens, std::int64_t heads,
                                         std::int64_t width) {
  Shared& entry = shared_entry(name);
  if (!entry.is_there && is_lone_) {
    entry.resize(tokens, heads, width);
    std::ranges::fill(entry.values, 0.0F);
    entry.is_there = false;
  } else if (!entry.is_there) {
    throw Error("", fmt::format("no layer before this one shares \"{}\"", name),
                "the layer that writes it must be of the same attention and come first");
  } else if (entry.tokens != tokens || entry.heads != heads || entry.width != width) {
    throw Error("",
                fmt::format("\"{}\" is shared as [{}, {}, {}] and read as [{}, {}, {}]", name, entry.tokens,
                            entry.heads, entry.width, tokens, heads, width),
                "the layers must have the same heads");
  }
  return {entry.values.data(), {tokens, heads, width}};
}

}  // namespace attnlab
