// See the header.
#include "model/tokenizers/normalizer.h"

#include <map>
#include <utility>
#include <vector>

#include "model/tokenizers/icu.h"
#include "model/tokenizers/pattern.h"
#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

class ToNormalForm final : public Normalizer {
 public:
  explicit ToNormalForm(NormalForm form) : form_(form) {}
  std::string apply(std::string text) const override { return to_normal_form(text, form_); }

 private:
  NormalForm form_;
};

class Lowercase final : public Normalizer {
 public:
  std::string apply(std::string text) const override { return to_lower_case(text); }
};

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  std::string apply(std::string text) const override {
    if (left_) text.erase(0, leading_white_space(text));
    if (right_) text.resize(text.size() - trailing_white_space(text));
    return text;
  }

 private:
  bool left_;
  bool right_;
};

class StripAccents final : public Normalizer {
 public:
  std::string apply(std::string text) const override {
    std::string kept;
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view character = rest.substr(0, static_cast<std::size_t>(first_character(rest).bytes));
      if (!is_mark(code_point(character))) kept += character;
      rest.remove_prefix(character.size());
    }
    return kept;
  }
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
  const std::map<std::string, NormalForm> forms{
      {"NFC", NormalForm::nfc}, {"NFD", NormalForm::nfd}, {"NFKC", NormalForm::nfkc}, {"NFKD", NormalForm::nfkd}};
  if (const auto form = forms.find(kind); form != forms.end()) {
    node.has_only({"type"});
    return std::make_unique<ToNormalForm>(form->second);
  }
  if (kind == "Lowercase") {
    node.has_only({"type"});
    return std::make_unique<Lowercase>();
  }
  if (kind == "StripAccents") {
    node.has_only({"type"});
    return std::make_unique<StripAccents>();
  }
  if (kind == "Strip") {
    node.has_only({"type", "strip_left", "strip_right"});
    return std::make_unique<Strip>(node.at("strip_left").boolean(), node.at("strip_right").boolean());
  }
  if (kind == "Prepend") {
    node.has_only({"type", "prepend"});
    return std::make_unique<Prepend>(node.at("prepend").string());
  }
  if (kind == "Replace") {
    node.has_only({"type", "pattern", "content"});
    return std::make_unique<Replace>(Pattern::parse(node.at("pattern")), node.at("content").string());
  }
  if (kind == "Sequence") {
    node.has_only({"type", "normalizers"});
    std::vector<std::unique_ptr<Normalizer>> steps;
    for (const JsonNode& step : node.at("normalizers").items()) steps.push_back(parse_normalizer(step));
    return std::make_unique<Sequence>(std::move(steps));
  }
  node.refuse_kind(
      kind, {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Prepend", "Replace", "Sequence"});
}

}  // namespace attnlab::model::tokenizer_parts
