#include "config/node.h"

#include <utility>

#include <fmt/format.h>

namespace attnlab::config {

std::string Mark::text() const {
  return line > 0 ? fmt::format("{}:{}:{}", file, line, column) : file;
}

Mark Mark::after(std::size_t bytes) const {
  Mark moved = *this;
  if (line > 0) moved.column += static_cast<int>(bytes);
  return moved;
}

Node Node::null(Mark mark) {
  Node node;
  node.mark_ = std::move(mark);
  return node;
}

Node Node::scalar(Mark mark, std::string text, bool quoted) {
  Node node = null(std::move(mark));
  node.kind_ = Kind::scalar;
  node.text_ = std::move(text);
  node.quoted_ = quoted;
  return node;
}

Node Node::sequence(Mark mark, std::vector<Node> items) {
  Node node = null(std::move(mark));
  node.kind_ = Kind::sequence;
  node.items_ = std::move(items);
  return node;
}

Node Node::map(Mark mark, std::vector<Entry> entries) {
  Node node = null(std::move(mark));
  node.kind_ = Kind::map;
  node.entries_ = std::move(entries);
  return node;
}

const Node* Node::find(std::string_view key) const noexcept {
  for (const Entry& entry : entries_)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

}  // namespace attnlab::config
