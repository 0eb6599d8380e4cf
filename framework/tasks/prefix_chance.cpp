#include "tasks/prefix_chance.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace attnlab::tasks {
namespace {

using Matrix = std::vector<std::vector<double>>;

// (1 - step)^-1 = 1 + step + step^2 + ..., by elimination; chances of a grammar whose sentences end make it regular.
Matrix sum_of_powers(const Matrix& step) {
  const std::size_t size = step.size();
  Matrix left(size, std::vector<double>(size)), right = left;
  for (std::size_t row = 0; row < size; ++row)
    for (std::size_t column = 0; column < size; ++column) {
      right[row][column] = row == column ? 1 : 0;
      left[row][column] = right[row][column] - step[row][column];
    }
  for (std::size_t pivot = 0; pivot < size; ++pivot) {
    std::size_t best = pivot;
    for (std::size_t row = pivot; row < size; ++row)
      if (std::abs(left[row][pivot]) > std::abs(left[best][pivot])) best = row;
    std::swap(left[pivot], left[best]);
    std::swap(right[pivot], right[best]);
    for (std::size_t row = 0; row < size; ++row) {
      const double factor = left[row][pivot] / left[pivot][pivot];
      if (row == pivot || factor == 0) continue;
      for (std::size_t column = 0; column < size; ++column) {
        left[row][column] -= factor * left[pivot][column];
        right[row][column] -= factor * right[pivot][column];
      }
    }
  }
  for (std::size_t row = 0; row < size; ++row)
    for (double& value : right[row]) value /= left[row][row];
  return right;
}

}  // namespace

// Chances with the last word in them are all scaled alike, so that the whole beginning has the chance 1 and long
// sentences do not underflow.
struct PrefixChances::Columns {
  struct Entry {
    int symbol;
    double chance;
  };
  std::vector<std::vector<std::vector<Entry>>> inside;  // [last][first]: symbols that become exactly these words
  double surprisal = 0;                                 // of the last word
};

PrefixChances::PrefixChances(const Grammar& grammar)
    : symbols_(grammar.symbols), halves_(grammar.symbols), leaves_(grammar.words.size()) {
  Matrix step(symbols_, std::vector<double>(symbols_, 0.0));
  std::vector<bool> begins(symbols_, false);
  begins[0] = true;
  for (const Grammar::Leaf& leaf : grammar.leaves) leaves_[leaf.word].push_back(leaf);
  for (const Grammar::Branch& branch : grammar.branches) {
    halves_[branch.left].push_back({branch.parent, branch.right, branch.chance});
    step[branch.parent][branch.left] += branch.chance;
    begins[branch.right] = true;
  }
  const Matrix edges = sum_of_powers(step);
  for (int top = 0; top < symbols_; ++top)
    for (int corner = 0; corner < symbols_; ++corner)
      if (begins[top] && edges[top][corner] != 0) corners_.push_back({top, corner, edges[top][corner]});
}

// On the left edge of every tree one node is the highest whose left half ends before the last word: the left half is
// exactly the words up to some place, and the right half begins with the others.
void PrefixChances::add_word(Columns& columns, TokenId word) const {
  const int last = static_cast<int>(columns.inside.size());
  // By first word and symbol: it becomes exactly the words from there to the last, or begins with them.
  std::vector<double> inside(static_cast<std::size_t>((last + 1) * symbols_), 0.0);
  std::vector<double> prefix = inside, node(symbols_);
  auto& column = columns.inside.emplace_back(last + 1);
  for (int first = last; first >= 0; --first) {
    double* const whole = &inside[first * symbols_];
    std::ranges::fill(node, 0.0);
    if (first == last)
      for (const Grammar::Leaf& leaf : leaves_[word]) whole[leaf.parent] = node[leaf.parent] = leaf.chance;
    for (int middle = first; middle < last; ++middle)
      for (const auto& [symbol, chance] : columns.inside[middle][first])
        for (const Half& half : halves_[symbol]) {
          whole[half.parent] += chance * half.chance * inside[(middle + 1) * symbols_ + half.right];
          node[half.parent] += chance * half.chance * prefix[(middle + 1) * symbols_ + half.right];
        }
    for (const Corner& edge : corners_) prefix[first * symbols_ + edge.top] += edge.chance * node[edge.corner];
  }
  const double scale = prefix[0];
  columns.surprisal = std::max(-std::log(scale), 0.0);  // of a certain word it is 0 but for rounding
  for (int first = 0; first <= last; ++first)
    for (int symbol = 0; symbol < symbols_; ++symbol)
      if (const double chance = inside[first * symbols_ + symbol]; chance != 0)
        column[first].push_back({symbol, chance / scale});
}

std::vector<double> PrefixChances::surprisals(const std::vector<TokenId>& words) const {
  Columns columns;
  std::vector<double> all;
  for (const TokenId word : words) {
    add_word(columns, word);
    all.push_back(columns.surprisal);
  }
  return all;
}

}  // namespace attnlab::tasks
