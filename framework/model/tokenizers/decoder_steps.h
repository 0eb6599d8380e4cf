// The steps a decoder is made of. Those called whole-token need each token in one fragment; after a step that returns
// fragments, the decoder puts a Gather before them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/tokenizers/decoder.h"
#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {

/// Collects each token's fragments into one.
class Gather final : public DecodeStep {
 public:
  std::unique_ptr<DecodeStep> fresh() const override { return std::make_unique<Gather>(); }
  void push(Fragment fragment, std::vector<Fragment>& out) override;
  void finish(std::vector<Fragment>& out) override;

 private:
  std::string token_;
  bool open_ = false;
};

/// A space between tokens. Whole-token.
class Join final : public DecodeStep {
 public:
  std::unique_ptr<DecodeStep> fresh() const override { return std::make_unique<Join>(); }
  void push(Fragment fragment, std::vector<Fragment>& out) override;

 private:
  bool first_ = true;
};

/// Bytes for the byte-level alphabet, from here on one token; a token with other characters stands for its own bytes.
/// Whole-token.
class ByteLevelDecode final : public DecodeStep {
 public:
  std::unique_ptr<DecodeStep> fresh() const override { return std::make_unique<ByteLevelDecode>(); }
  void push(Fragment fragment, std::vector<Fragment>& out) override;
  void finish(std::vector<Fragment>& out) override;

 private:
  LossyUtf8 utf8_;
  bool first_ = true;
};

/// A pattern's matches replaced within each token. Whole-token.
class ReplaceDecode final : public DecodeStep {
 public:
  ReplaceDecode(const Pattern& pattern, std::string content)
      : pattern_(pattern), finder_(pattern), content_(std::move(content)) {}
  std::unique_ptr<DecodeStep> fresh() const override { return std::make_unique<ReplaceDecode>(pattern_, content_); }
  void push(Fragment fragment, std::vector<Fragment>& out) override;

 private:
  const Pattern& pattern_;
  PatternFinder finder_;
  std::string content_;
};

/// A run of tokens "<0xE5>" becomes text if the whole run is UTF-8, else one U+FFFD for each; so it is known only
/// where the run ends. Whole-token.
class ByteFallbackDecode final : public DecodeStep {
 public:
  std::unique_ptr<DecodeStep> fresh() const override { return std::make_unique<ByteFallbackDecode>(); }
  void push(Fragment fragment, std::vector<Fragment>& out) override;
  void finish(std::vector<Fragment>& out) override;

 private:
  std::string run_;
};

/// All tokens become one.
class FuseDecode final : public DecodeStep {
 public:
  std::unique_ptr<DecodeStep> fresh() const override { return std::make_unique<FuseDecode>(); }
  void push(Fragment fragment, std::vector<Fragment>& out) override;

 private:
  bool first_ = true;
};

/// Drops up to `start` leading and `stop` trailing characters `content` of each token.
class StripDecode final : public DecodeStep {
 public:
  StripDecode(std::string content, std::size_t start, std::size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  std::unique_ptr<DecodeStep> fresh() const override { return std::make_unique<StripDecode>(content_, start_, stop_); }
  void push(Fragment fragment, std::vector<Fragment>& out) override;

 private:
  std::string content_;  // one character
  std::size_t start_;
  std::size_t stop_;
  std::size_t to_strip_ = 0;  // leading characters of this token that may still go
  std::size_t held_ = 0;      // characters `content` that go if the token ends here; at most stop_
};

/// The replacement character becomes a space; in the first token nothing, if spaces were prepended. Whole-token.
class MetaspaceDecode final : public DecodeStep {
 public:
  MetaspaceDecode(std::string replacement, bool prepended)
      : replacement_(std::move(replacement)), prepended_(prepended) {}
  std::unique_ptr<DecodeStep> fresh() const override {
    return std::make_unique<MetaspaceDecode>(replacement_, prepended_);
  }
  void push(Fragment fragment, std::vector<Fragment>& out) override;

 private:
  std::string replacement_;
  bool prepended_;
  bool first_ = true;
};

}  // namespace attnlab::model::tokenizer_parts
