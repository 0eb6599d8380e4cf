// See the header.
#include "model/tokenizers/decoder.h"

#include <utility>

#include "model/tokenizers/decoder_steps.h"
#include "model/tokenizers/pretokenizer.h"

namespace attnlab::model::tokenizer_parts {

std::string Decoding::run(std::vector<Fragment> fragments, std::size_t first_step) {
  for (std::size_t step = first_step; step < steps_.size(); ++step) {
    std::vector<Fragment> out;
    for (Fragment& fragment : fragments) steps_[step]->push(std::move(fragment), out);
    fragments = std::move(out);
  }
  std::string text;
  for (const Fragment& fragment : fragments) text += fragment.text;
  return text;
}

std::string Decoding::push(std::string_view token) {
  return run({{std::string(token), true}}, 0);
}

std::string Decoding::finish() {
  std::string text;
  for (std::size_t step = 0; step < steps_.size(); ++step) {
    std::vector<Fragment> out;
    steps_[step]->finish(out);
    text += run(std::move(out), step + 1);
  }
  return text;
}

Decoder::Decoder() {
  steps_.push_back(std::make_unique<Join>());
}

Decoder::Decoder(const JsonNode& node) {
  add(node);
}

Decoding Decoder::start() const {
  std::vector<std::unique_ptr<DecodeStep>> steps;
  for (const auto& step : steps_) steps.push_back(step->fresh());
  return Decoding(std::move(steps));
}

void Decoder::add_whole_token_step(std::unique_ptr<DecodeStep> step) {
  if (fragments_) steps_.push_back(std::make_unique<Gather>());
  fragments_ = false;
  steps_.push_back(std::move(step));
}

void Decoder::add(const JsonNode& node) {
  const std::string kind = node.at("type").string();
  if (kind == "Sequence") {
    node.has_only({"type", "decoders"});
    for (const JsonNode& step : node.at("decoders").items()) add(step);
  } else if (kind == "ByteLevel") {
    node.has_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});  // these three are for the pre-tokenizer
    add_whole_token_step(std::make_unique<ByteLevelDecode>());
    fragments_ = true;
  } else if (kind == "Replace") {
    node.has_only({"type", "pattern", "content"});
    patterns_.push_back(std::make_unique<Pattern>(Pattern::parse(node.at("pattern"))));
    add_whole_token_step(std::make_unique<ReplaceDecode>(*patterns_.back(), node.at("content").string()));
  } else if (kind == "ByteFallback") {
    node.has_only({"type"});
    add_whole_token_step(std::make_unique<ByteFallbackDecode>());
  } else if (kind == "Metaspace") {
    // split is for the pre-tokenizer, str_rep an old copy of the replacement.
    node.has_only({"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    add_whole_token_step(std::make_unique<MetaspaceDecode>(parse_character(node, "replacement"),
                                                           parse_prepend_scheme(node) != PrependScheme::never));
  } else if (kind == "Fuse") {
    node.has_only({"type"});
    steps_.push_back(std::make_unique<FuseDecode>());
    fragments_ = true;
  } else if (kind == "Strip") {
    node.has_only({"type", "content", "start", "stop"});
    const auto count = [&](const std::string& key) {
      const std::int64_t characters = node.at(key).integer();
      if (characters < 0) node.at(key).refuse("must not be negative");
      return static_cast<std::size_t>(characters);
    };
    steps_.push_back(std::make_unique<StripDecode>(parse_character(node, "content"), count("start"), count("stop")));
  } else {
    node.refuse_kind(kind, {"ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace", "Sequence"});
  }
}

}  // namespace attnlab::model::tokenizer_parts
