#include "encodings/printable.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace sartor::datasets {

std::string printable(std::string_view text, size_t bytes) {
  static constexpr std::string_view special = "\t\n\r\\", letters = "tnr\\";
  std::string out;
  size_t at = 0;
  while (at < text.size() && at < bytes) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const size_t size = first_character(text.substr(at)).bytes;
    if (const size_t known = special.find(text[at]); known != special.npos) {
      out += {'\\', letters[known]};
    } else if (size == 0 || byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += text.substr(at, size);
    }
    at += std::max(size, size_t{1});
  }
  return at < text.size() ? out + "..." : out;
}

}  // namespace sartor::datasets
