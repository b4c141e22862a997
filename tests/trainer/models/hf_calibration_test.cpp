// Writing and reading of calibration.json, and invalid files.
#include "models/hf/calibration_file.h"

#include <gmock/gmock.h>

#include "support/folder_test.h"

namespace sartor::hf {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class CalibrationFile : public testing::FolderTest {};

TEST_F(CalibrationFile, KeepsTheTemperature) {
  EXPECT_FALSE(read_temperature(folder_));
  write_calibration(folder_, 1.0 / 3, 360);
  EXPECT_EQ(read_temperature(folder_), 1.0 / 3);
  EXPECT_THAT(read("calibration.json"), HasSubstr("\"rows\": 360"));
}

TEST_F(CalibrationFile, NamesWhatIsBroken) {
  for (const char* text : {"[]", "{}", R"({"temperature": "1"})", R"({"temperature": 0})", R"({"temperature": -2})",
                           R"({"temperature": null})"}) {
    write("calibration.json", text);
    EXPECT_THAT([&] { read_temperature(folder_); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("calibration.json: expected temperature, a number")))
        << text;
  }
  write("calibration.json", "{\"temperature\": 1");
  EXPECT_THAT([&] { read_temperature(folder_); }, ThrowsMessage<std::invalid_argument>(HasSubstr("calibration.json")));
}

}  // namespace
}  // namespace sartor::hf
