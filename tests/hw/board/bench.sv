// A board and the host's end of its serial line: sends a file, waits for the interrupt, sends a second file, and writes
// what comes back.
module board_bench;
  parameter DIVISOR = 4;
  reg clk = 0, rst = 1, rx = 1;
  wire tx;
  wire [7:0] led;
  reg finished = 0;
  integer source, answers, expected, received = 0, i, c;
  string folder;

  board dut (.clk(clk), .rst(rst), .rx(rx), .tx(tx), .led(led));

  always #5 clk = ~clk;

  task bit_time(input value);
    rx = value;
    repeat (DIVISOR) @(negedge clk);
  endtask

  task send(input string name);
    source = $fopen({folder, "/", name}, "rb");
    c = $fgetc(source);
    while (c >= 0) begin
      bit_time(0);
      for (i = 0; i < 8; i = i + 1) bit_time(c[i]);
      bit_time(1);
      c = $fgetc(source);
    end
    $fclose(source);
  endtask

  initial begin
    if (!$value$plusargs("folder=%s", folder)) $fatal(1, "no +folder");
    if (!$value$plusargs("expected=%d", expected)) $fatal(1, "no +expected");
    answers = $fopen({folder, "/answers.bin"}, "wb");
    repeat (4) @(negedge clk);
    rst = 0;
    send("before.bin");
    wait (led[0]);
    send("after.bin");
    wait (received == expected);
    repeat (100 * DIVISOR) @(negedge clk);
    $fclose(answers);
    finished = 1;
  end

  integer j;
  reg [7:0] byte_in;
  always begin
    @(negedge tx);
    repeat (DIVISOR + DIVISOR / 2) @(negedge clk);
    for (j = 0; j < 8; j = j + 1) begin
      byte_in[j] = tx;
      repeat (DIVISOR) @(negedge clk);
    end
    $fwrite(answers, "%c", byte_in);
    received = received + 1;
  end
endmodule
