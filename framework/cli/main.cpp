#include "cli/program.h"

int main(int argc, char** argv) {
  return attnlab::cli::program(argc, argv);
}
