// See the header.
#include "model/tokenizer_normalizer.h"

#include <utility>
#include <vector>

#include "model/tokenizer_icu.h"

namespace attnlab::model::tokenizer_parts {
namespace {

class Nfc final : public Normalizer {
 public:
  std::string apply(std::string text) const override { return compose_nfc(text); }
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string apply(std::string text) const override { return text.empty() ? text : prefix_ + text; }

 private:
  std::string prefix_;
};

class Replace final : public Normalizer {
 public:
  Replace(Pattern pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string apply(std::string text) const override {
    PatternFinder finder(pattern_);
    return replace_all(finder, text, content_);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class Sequence final : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
  std::string apply(std::string text) const override {
    for (const auto& step : steps_) text = step->apply(std::move(text));
    return text;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

}  // namespace

std::unique_ptr<Normalizer> parse_normalizer(const JsonNode& node) {
  const std::string kind = node.at("type").string();
  if (kind == "NFC") return std::make_unique<Nfc>();
  if (kind == "Prepend") return std::make_unique<Prepend>(node.at("prepend").string());
  if (kind == "Replace") {
    return std::make_unique<Replace>(Pattern::parse(node.at("pattern")), node.at("content").string());
  }
  if (kind == "Sequence") {
    std::vector<std::unique_ptr<Normalizer>> steps;
    for (const JsonNode& step : node.at("normalizers").items()) steps.push_back(parse_normalizer(step));
    return std::make_unique<Sequence>(std::move(steps));
  }
  node.refuse_kind(kind, {"NFC", "Prepend", "Replace", "Sequence"});
}

}  // namespace attnlab::model::tokenizer_parts
