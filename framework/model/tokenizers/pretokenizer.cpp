// See the header. The five ways to cut at a match are those of the Hugging Face library, whose rules for the merged
// ones depend on the neighbour: of matches in a row, only the first (or last) joins.
#include "model/tokenizers/pretokenizer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "model/checkpoints/strict_json.h"
#include "model/tokenizers/bytelevel.h"
#include "model/tokenizers/icu.h"
#include "model/tokenizers/pattern.h"
#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };  // as in the files

// The pattern GPT-2 was published with; ByteLevel uses it unless use_regex is false.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Joins neighbours so that what is left are the pieces; `matched` stays set only for what is to be dropped.
void join_ranges(std::vector<Range>& ranges, Behavior behavior) {
  if (behavior == Behavior::Removed) return;
  const bool backwards = behavior == Behavior::MergedWithNext;
  if (backwards) std::reverse(ranges.begin(), ranges.end());
  std::vector<Range> joined;
  bool previous = false;
  for (const Range& range : ranges) {
    const bool joins = behavior == Behavior::Contiguous ? range.matched == previous
                       : behavior == Behavior::Isolated ? false
                                                        : range.matched && !previous;
    previous = range.matched;
    if (joins && !joined.empty()) {
      (backwards ? joined.back().begin : joined.back().end) = backwards ? range.begin : range.end;
    } else {
      joined.push_back({range.begin, range.end, false});
    }
  }
  if (backwards) std::reverse(joined.begin(), joined.end());
  ranges = std::move(joined);
}

void cut(Piece piece, const std::vector<Range>& ranges, std::vector<Piece>& out) {
  if (ranges.size() == 1 && !ranges[0].matched) {
    if (!piece.text.empty()) out.push_back(std::move(piece));
    return;
  }
  for (const Range& range : ranges) {
    if (range.matched || range.begin == range.end) continue;
    out.push_back({piece.text.substr(range.begin, range.end - range.begin), piece.at_start && range.begin == 0});
  }
}

class Split final : public PreTokenizer {
 public:
  Split(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void apply(std::vector<Piece>& pieces) const override {
    PatternFinder finder(pattern_);
    std::vector<Piece> out;
    std::vector<Range> ranges;
    for (Piece& piece : pieces) {
      ranges = finder.find(piece.text);
      for (Range& range : ranges) range.matched = range.matched != invert_;
      join_ranges(ranges, behavior_);
      cut(std::move(piece), ranges, out);
    }
    pieces = std::move(out);
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

// Every character of a class is a match of its own.
class CharacterSplit final : public PreTokenizer {
 public:
  using IsMatch = bool (*)(char32_t) noexcept;
  CharacterSplit(IsMatch is_match, Behavior behavior) : is_match_(is_match), behavior_(behavior) {}

  void apply(std::vector<Piece>& pieces) const override {
    std::vector<Piece> out;
    for (Piece& piece : pieces) {
      std::vector<Range> ranges;
      for (std::size_t at = 0; at < piece.text.size();) {
        const auto bytes = static_cast<std::size_t>(first_character(std::string_view(piece.text).substr(at)).bytes);
        const bool matched = is_match_(code_point(std::string_view(piece.text).substr(at, bytes)));
        if (!matched && !ranges.empty() && !ranges.back().matched) {
          ranges.back().end += bytes;
        } else {
          ranges.push_back({at, at + bytes, matched});
        }
        at += bytes;
      }
      join_ranges(ranges, behavior_);
      cut(std::move(piece), ranges, out);
    }
    pieces = std::move(out);
  }

 private:
  IsMatch is_match_;
  Behavior behavior_;
};

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex) : add_prefix_space_(add_prefix_space) {
    if (use_regex) split_ = std::make_unique<Split>(Pattern::regex(kGpt2Pattern), Behavior::Isolated, false);
  }

  void apply(std::vector<Piece>& pieces) const override {
    if (add_prefix_space_) {
      for (Piece& piece : pieces) {
        if (!piece.text.starts_with(' ')) piece.text.insert(0, " ");
      }
    }
    if (split_) split_->apply(pieces);
    for (Piece& piece : pieces) piece.text = to_byte_characters(piece.text);
  }

 private:
  bool add_prefix_space_;
  std::unique_ptr<Split> split_;  // null: use_regex is false
};

class Metaspace final : public PreTokenizer {
 public:
  Metaspace(std::string replacement, PrependScheme scheme, bool split)
      : replacement_(std::move(replacement)), scheme_(scheme), split_(split) {}

  void apply(std::vector<Piece>& pieces) const override {
    std::vector<Piece> out;
    for (const Piece& piece : pieces) {
      std::string text;
      for (const char c : piece.text) c == ' ' ? text += replacement_ : text += c;
      const bool prepend = scheme_ == PrependScheme::always || (scheme_ == PrependScheme::first && piece.at_start);
      if (prepend && !text.starts_with(replacement_)) text.insert(0, replacement_);
      const std::vector<Range> words = split_ ? words_of(text) : std::vector<Range>{{0, text.size(), false}};
      cut({std::move(text), piece.at_start}, words, out);
    }
    pieces = std::move(out);
  }

 private:
  // Each replacement character opens a word.
  std::vector<Range> words_of(std::string_view text) const {
    std::vector<Range> words;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(replacement_, begin + 1), text.size());
      words.push_back({begin, end, false});
      begin = end;
    }
    return words;
  }

  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
};

class Sequence final : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<PreTokenizer>> steps) : steps_(std::move(steps)) {}
  void apply(std::vector<Piece>& pieces) const override {
    for (const auto& step : steps_) step->apply(pieces);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

Behavior parse_behavior(const JsonNode& node) {
  const std::string name = node.string();
  if (name == "Removed") return Behavior::Removed;
  if (name == "Isolated") return Behavior::Isolated;
  if (name == "MergedWithPrevious") return Behavior::MergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::MergedWithNext;
  if (name == "Contiguous") return Behavior::Contiguous;
  node.refuse("is " + in_quotes(name) + ", which is no way to split",
              "one of Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

}  // namespace

std::string parse_character(const JsonNode& node, const std::string& key) {
  const JsonNode field = node.at(key);
  std::string text = field.string();
  if (text.empty() || first_character(text).bytes != static_cast<int>(text.size())) {
    field.refuse("must be one character");
  }
  return text;
}

PrependScheme parse_prepend_scheme(const JsonNode& metaspace) {
  const bool add = metaspace.boolean_or("add_prefix_space", true);
  const auto scheme = metaspace.find("prepend_scheme");
  if (!scheme) return add ? PrependScheme::always : PrependScheme::never;
  const std::string name = scheme->string();
  if (!add && name != "never")
    metaspace.refuse("has both add_prefix_space false and prepend_scheme " + in_quotes(name));
  if (name == "always") return PrependScheme::always;
  if (name == "first") return PrependScheme::first;
  if (name == "never") return PrependScheme::never;
  scheme->refuse("is " + in_quotes(name), "one of always, first, never");
}

std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const JsonNode& node) {
  const std::string kind = node.at("type").string();
  if (kind == "Split") {
    node.has_only({"type", "pattern", "behavior", "invert"});
    return std::make_unique<Split>(Pattern::parse(node.at("pattern")), parse_behavior(node.at("behavior")),
                                   node.boolean_or("invert", false));
  }
  if (kind == "Digits") {
    node.has_only({"type", "individual_digits"});
    return std::make_unique<CharacterSplit>(
        is_number, node.boolean_or("individual_digits", false) ? Behavior::Isolated : Behavior::Contiguous);
  }
  if (kind == "Punctuation") {
    node.has_only({"type", "behavior"});
    const auto behavior = node.find("behavior");
    return std::make_unique<CharacterSplit>(is_punctuation, behavior ? parse_behavior(*behavior) : Behavior::Isolated);
  }
  if (kind == "ByteLevel") {
    node.has_only({"type", "add_prefix_space", "use_regex", "trim_offsets"});  // the last moves offsets only
    return std::make_unique<ByteLevel>(node.boolean_or("add_prefix_space", true), node.boolean_or("use_regex", true));
  }
  if (kind == "Metaspace") {
    // str_rep is an old copy of the replacement.
    node.has_only({"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    return std::make_unique<Metaspace>(parse_character(node, "replacement"), parse_prepend_scheme(node),
                                       node.boolean_or("split", true));
  }
  if (kind == "Sequence") {
    node.has_only({"type", "pretokenizers"});
    std::vector<std::unique_ptr<PreTokenizer>> steps;
    for (const JsonNode& step : node.at("pretokenizers").items()) steps.push_back(parse_pre_tokenizer(step));
    return std::make_unique<Sequence>(std::move(steps));
  }
  node.refuse_kind(kind, {"Split", "Digits", "Punctuation", "ByteLevel", "Metaspace", "Sequence"});
}

}  // namespace attnlab::model::tokenizer_parts
