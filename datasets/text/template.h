// Texts made of a row's columns: "{title}. {body}", or "{userId} {movieId}".
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::text {

// Plain text and slots. A slot is a column's name in braces; {{ and }} stand for braces.
class Template {
 public:
  // Throws std::invalid_argument on a brace that is not closed or not opened, and on an empty name.
  explicit Template(std::string_view pattern);

  // The columns that it needs, each once, in order of first use.
  const std::vector<std::string>& columns() const { return columns_; }

  // The text; value(i) is that of columns()[i].
  std::string fill(const std::function<std::string_view(size_t)>& value) const;
  void append(const std::function<std::string_view(size_t)>& value, std::string& to) const;  // behind what is there

 private:
  struct Piece {
    std::string plain;
    size_t column = no_column;  // after the plain text
  };
  static constexpr size_t no_column = -1;

  std::vector<std::string> columns_;
  std::vector<Piece> pieces_;
};

}  // namespace sartor::text
