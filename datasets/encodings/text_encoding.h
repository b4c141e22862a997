// Encodings of text files.
#pragma once

#include <array>

#include "schema/fields.h"

namespace sartor::datasets {

enum class TextEncoding { utf8, utf16, gb18030, latin1, windows_1252, automatic };

constexpr auto choices(TextEncoding) {
  return std::to_array<Choice<TextEncoding>>({{"utf-8", TextEncoding::utf8},
                                              {"utf-16", TextEncoding::utf16},
                                              {"gb18030", TextEncoding::gb18030},
                                              {"gbk", TextEncoding::gb18030},  // subsets of GB18030
                                              {"gb2312", TextEncoding::gb18030},
                                              {"latin-1", TextEncoding::latin1},
                                              {"windows-1252", TextEncoding::windows_1252},
                                              {"auto", TextEncoding::automatic}});
}

}  // namespace sartor::datasets
