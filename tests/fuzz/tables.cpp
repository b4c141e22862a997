#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "base/utf8.h"
#include "encodings/encoding.h"
#include "fuzz/targets.h"
#include "privacy/masking.h"
#include "tables/json_scanner.h"

namespace sartor::fuzz {

// Lines that are accepted are objects to nlohmann::json, too, which requires valid UTF-8.
void json_object(std::string_view input, bool) {
  size_t bytes = 0;
  const bool taken = datasets::scan_json_object(
      input,
      [&](std::string_view name, datasets::JsonKind, std::string_view text) { bytes += name.size() + text.size(); });
  if (bytes > 2 * input.size()) std::abort();
  if (!taken || valid_utf8(input) != input.size()) return;
  try {
    if (!nlohmann::json::parse(input).is_object()) std::abort();
  } catch (const nlohmann::json::out_of_range&) {  // 1e999
  }
}

// The decoded text does not depend on where the input is cut.
void encoded_text(std::string_view input, bool) {
  using enum datasets::TextEncoding;
  if (input.empty()) return;
  const auto cut = static_cast<unsigned char>(input[0]) % input.size();
  input.remove_prefix(1);
  for (const auto encoding : {utf8, utf16, gb18030, latin1, windows_1252}) {
    std::string whole, pieces;
    datasets::Decoder(encoding).append(input, true, whole);
    datasets::Decoder decoder(encoding);
    decoder.append(input.substr(0, cut), false, pieces);
    decoder.append(input.substr(cut), true, pieces);
    if (whole != pieces) std::abort();
  }
  try {
    datasets::recognised_encoding("fuzz", input, cut % 2 == 0, {});
  } catch (const std::invalid_argument&) {
  }
}

void masking(std::string_view input, bool) {
  privacy::MaskCounts found, again;
  const auto masked = privacy::mask(input, found);
  const bool valid = valid_utf8(input) == input.size();
  if (valid && valid_utf8(masked) != masked.size()) std::abort();
  if (found.total() == 0 && masked != input) std::abort();
  if (privacy::mask(masked, again) != masked || again.total() > 0) std::abort();  // nothing is left to mask
}

}  // namespace sartor::fuzz
