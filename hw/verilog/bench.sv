// A host, a memory and a check around the accelerator: load the image, run its program, compare what it wrote.
// Prints PASS, or FAIL with the reason and ends with an error. Written by `vitreous rtl` for one configuration.
module @BENCH@;
  // Of this configuration and its program; the image begins at address 0.
@PARAMETERS@

  localparam BEAT = DATA_BITS / 8;
  localparam MAGIC = 12'h000, CONFIG = 12'h004, CONTROL = 12'h008, STATUS = 12'h00C, READ_BASE = 12'h010,
      READ_SIZE = 12'h014, WRITE_BASE = 12'h018, WRITE_SIZE = 12'h01C, PROGRAM_OFFSET = 12'h020,
      PROGRAM_LENGTH = 12'h024, INTERRUPT_ENABLE = 12'h028;

@SIGNALS@

  @TOP@ dut (
@CONNECTIONS@
  );

  reg [7:0] memory[0:IMAGE_BYTES-1];
  reg [7:0] expected[0:EXPECTED_BYTES-1];
  reg [31:0] value;
  integer lane, index, cycles, started;

  initial clk = 0;
  always #5 clk = ~clk;
  initial cycles = 0;
  always @(posedge clk) begin
    cycles = cycles + 1;
    if (cycles == LIMIT) $fatal(1, "FAIL: no interrupt after %0d cycles", LIMIT);
  end

  // One read burst at a time, answered from the cycle after its address on.
  reg [31:0] from;
  reg [7:0] left;
  always @(posedge clk) begin
    if (rst) begin
      m_axi_arready <= 1;
      m_axi_rvalid <= 0;
    end else if (m_axi_arready && m_axi_arvalid) begin
      m_axi_arready <= 0;
      m_axi_rvalid <= 1;
      m_axi_rid <= m_axi_arid;
      from <= m_axi_araddr + BEAT;
      left <= m_axi_arlen;
      m_axi_rlast <= m_axi_arlen == 0;
      for (lane = 0; lane < BEAT; lane = lane + 1) m_axi_rdata[8*lane+:8] <= memory[m_axi_araddr+lane];
    end else if (m_axi_rvalid && m_axi_rready) begin
      m_axi_arready <= m_axi_rlast;
      m_axi_rvalid <= !m_axi_rlast;
      from <= from + BEAT;
      left <= left - 1;
      m_axi_rlast <= left == 1;
      for (lane = 0; lane < BEAT; lane = lane + 1) m_axi_rdata[8*lane+:8] <= memory[from+lane];
    end
  end

  // One write burst at a time: its address, its data, its answer.
  reg [31:0] to;
  integer strobe;
  always @(posedge clk) begin
    if (rst) begin
      m_axi_awready <= 1;
      m_axi_wready <= 0;
      m_axi_bvalid <= 0;
    end else if (m_axi_awready && m_axi_awvalid) begin
      m_axi_awready <= 0;
      m_axi_wready <= 1;
      m_axi_bid <= m_axi_awid;
      to <= m_axi_awaddr;
    end else if (m_axi_wready && m_axi_wvalid) begin
      for (strobe = 0; strobe < BEAT; strobe = strobe + 1)
        if (m_axi_wstrb[strobe]) memory[to+strobe] <= m_axi_wdata[8*strobe+:8];
      to <= to + BEAT;
      m_axi_wready <= !m_axi_wlast;
      m_axi_bvalid <= m_axi_wlast;
    end else if (m_axi_bvalid && m_axi_bready) begin
      m_axi_bvalid <= 0;
      m_axi_awready <= 1;
    end
  end

  // The host changes its signals at falling edges. What will be transferred at the next rising edge can be seen
  // before it, when all that depends on them has settled.
  reg took_address, took_data, took_answer;

  task write_register(input [11:0] address, input [31:0] data);
    begin
      s_axil_awaddr = address;
      s_axil_wdata = data;
      {s_axil_awvalid, s_axil_wvalid, s_axil_bready} = 3'b111;
      took_answer = 0;
      while (!took_answer) begin
        #1 took_address = s_axil_awvalid && s_axil_awready;
        took_data = s_axil_wvalid && s_axil_wready;
        took_answer = s_axil_bvalid;
        @(negedge clk);
        if (took_address) s_axil_awvalid = 0;
        if (took_data) s_axil_wvalid = 0;
      end
      s_axil_bready = 0;
    end
  endtask

  task read_register(input [11:0] address);
    begin
      s_axil_araddr = address;
      {s_axil_arvalid, s_axil_rready} = 2'b11;
      took_answer = 0;
      while (!took_answer) begin
        #1 took_address = s_axil_arvalid && s_axil_arready;
        took_answer = s_axil_rvalid;
        value = s_axil_rdata;
        @(negedge clk);
        if (took_address) s_axil_arvalid = 0;
      end
      s_axil_rready = 0;
    end
  endtask

  initial begin
    $readmemh(IMAGE, memory);
    $readmemh(EXPECTED, expected);
    rst = 1;
    {s_axil_awvalid, s_axil_wvalid, s_axil_bready, s_axil_arvalid, s_axil_rready} = 0;
    {s_axil_awprot, s_axil_arprot, m_axi_bresp, m_axi_rresp} = 0;
    s_axil_wstrb = 4'hF;
    repeat (4) @(negedge clk);
    rst = 0;
    read_register(MAGIC);
    if (value != MAGIC_VALUE) $fatal(1, "FAIL: register MAGIC is %h, not %h", value, MAGIC_VALUE);
    read_register(CONFIG);
    if (value != CONFIG_VALUE) $fatal(1, "FAIL: register CONFIG is %h, not %h", value, CONFIG_VALUE);
    write_register(READ_BASE, READ_FROM);
    write_register(READ_SIZE, IMAGE_BYTES - READ_FROM);
    write_register(WRITE_BASE, 0);
    write_register(WRITE_SIZE, EXPECTED_BYTES);
    write_register(PROGRAM_OFFSET, 0);
    write_register(PROGRAM_LENGTH, INSTRUCTIONS);
    write_register(INTERRUPT_ENABLE, 1);
    write_register(CONTROL, 1);
    started = cycles;
    while (!irq) @(negedge clk);
    started = cycles - started;
    read_register(STATUS);
    if (value != DONE_VALUE) $fatal(1, "FAIL: register STATUS is %h, not %h", value, DONE_VALUE);
    for (index = 0; index < EXPECTED_BYTES; index = index + 1)
      if (memory[index] !== expected[index])
        $fatal(1, "FAIL: byte %0d is %h, not %h", index, memory[index], expected[index]);
    $display("PASS: %0d bytes equal after %0d cycles", EXPECTED_BYTES, started);
    $finish;
  end
endmodule
