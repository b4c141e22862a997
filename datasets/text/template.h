// Text templates with column names, e.g. "{title}. {body}" or "{userId} {movieId}".
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::text {

// Literal text and slots. A slot is a column name in braces; {{ and }} are literal braces.
class Template {
 public:
  // Throws std::invalid_argument on an unmatched brace or an empty name.
  explicit Template(std::string_view pattern);

  // Distinct columns in order of first use.
  const std::vector<std::string>& columns() const { return columns_; }

  // Fills the template; value(i) is the text for columns()[i].
  std::string fill(const std::function<std::string_view(size_t)>& value) const;
  void append(const std::function<std::string_view(size_t)>& value, std::string& to) const;

 private:
  struct Piece {
    std::string plain;
    size_t column = no_column;  // follows the literal text
  };
  static constexpr size_t no_column = -1;

  std::vector<std::string> columns_;
  std::vector<Piece> pieces_;
};

}  // namespace sartor::text
