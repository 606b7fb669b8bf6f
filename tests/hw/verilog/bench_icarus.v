// A host and a DRAM around the accelerator for Icarus Verilog: load `image.hex`, run the program, write `result.hex`.
`timescale 1ns / 1ns
module bench;
  parameter BYTES = 32768;
  parameter LENGTH = 8;
  parameter PROGRAM = 0;
  parameter READ_BASE = 0;
  parameter READ_SIZE = 0;
  parameter WRITE_BASE = 0;
  parameter WRITE_SIZE = 0;

  reg clk = 0, rst = 1;
  always #5 clk = ~clk;
  reg [7:0] memory[0:BYTES-1];

  reg [11:0] awaddr = 0, araddr = 0;
  reg [31:0] wdata = 0;
  reg awvalid = 0, wvalid = 0, arvalid = 0;
  wire awready, wready, bvalid, arready, rvalid, irq;
  wire [31:0] rdata;

  wire [0:0] m_arid, m_awid;
  wire [31:0] m_araddr, m_awaddr;
  wire [7:0] m_arlen, m_awlen;
  wire m_arvalid, m_awvalid, m_wvalid, m_wlast, m_rready, m_bready;
  wire [63:0] m_wdata;
  wire [7:0] m_wstrb;

  // One read burst and one write burst at a time.
  reg reading = 0, writing = 0, answering = 0;
  reg [0:0] id = 0;
  reg [31:0] from = 0, to = 0;
  reg [7:0] left = 0;
  wire [63:0] word = {
    memory[from+7], memory[from+6], memory[from+5], memory[from+4], memory[from+3], memory[from+2], memory[from+1], memory[from]
  };
  integer lane;
  always @(posedge clk) begin
    if (!reading && m_arvalid) begin
      reading <= 1;
      id <= m_arid;
      from <= m_araddr;
      left <= m_arlen;
    end else if (reading && m_rready) begin
      from <= from + 8;
      left <= left - 1;
      reading <= left != 0;
    end
    if (!writing && !answering && m_awvalid) begin
      writing <= 1;
      to <= m_awaddr;
    end else if (writing && m_wvalid) begin
      for (lane = 0; lane < 8; lane = lane + 1) if (m_wstrb[lane]) memory[to+lane] <= m_wdata[8*lane+:8];
      to <= to + 8;
      writing <= !m_wlast;
      answering <= m_wlast;
    end else if (answering && m_bready) answering <= 0;
  end

  accelerator dut (
      .clk(clk), .rst(rst), .irq(irq),
      .s_axil_awaddr(awaddr), .s_axil_awprot(3'b0), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
      .s_axil_wdata(wdata), .s_axil_wstrb(4'hF), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
      .s_axil_bresp(), .s_axil_bvalid(bvalid), .s_axil_bready(1'b1),
      .s_axil_araddr(araddr), .s_axil_arprot(3'b0), .s_axil_arvalid(arvalid), .s_axil_arready(arready),
      .s_axil_rdata(rdata), .s_axil_rresp(), .s_axil_rvalid(rvalid), .s_axil_rready(1'b1),
      .m_axi_awid(m_awid), .m_axi_awaddr(m_awaddr), .m_axi_awlen(m_awlen), .m_axi_awsize(), .m_axi_awburst(), .m_axi_awcache(), .m_axi_awprot(),
      .m_axi_awvalid(m_awvalid), .m_axi_awready(!writing && !answering),
      .m_axi_wdata(m_wdata), .m_axi_wstrb(m_wstrb), .m_axi_wlast(m_wlast), .m_axi_wvalid(m_wvalid), .m_axi_wready(writing),
      .m_axi_bid(1'b0), .m_axi_bresp(2'b0), .m_axi_bvalid(answering), .m_axi_bready(m_bready),
      .m_axi_arid(m_arid), .m_axi_araddr(m_araddr), .m_axi_arlen(m_arlen), .m_axi_arsize(), .m_axi_arburst(), .m_axi_arcache(), .m_axi_arprot(),
      .m_axi_arvalid(m_arvalid), .m_axi_arready(!reading),
      .m_axi_rid(id), .m_axi_rdata(word), .m_axi_rresp(2'b0), .m_axi_rlast(left == 0), .m_axi_rvalid(reading),
      .m_axi_rready(m_rready),
      .trace_issue(), .trace_issue_pc(), .trace_done()
  );

  task write(input [11:0] address, input [31:0] value);
    begin
      awaddr = address;
      wdata = value;
      awvalid = 1;
      wvalid = 1;
      while (!awready || !wready) @(negedge clk);  // both are free before a write: they are taken together
      @(negedge clk);
      awvalid = 0;
      wvalid = 0;
      while (!bvalid) @(negedge clk);
      @(negedge clk);
    end
  endtask

  task read(input [11:0] address);
    begin
      araddr = address;
      arvalid = 1;
      while (!arready) @(negedge clk);
      @(negedge clk);
      arvalid = 0;
      while (!rvalid) @(negedge clk);
      $display("register %h: %h", address, rdata);
      @(negedge clk);
    end
  endtask

  initial begin
    $readmemh("image.hex", memory);
    repeat (4) @(negedge clk);
    rst = 0;
    read(12'h000);
    read(12'h004);
    write(12'h010, READ_BASE);
    write(12'h014, READ_SIZE);
    write(12'h018, WRITE_BASE);
    write(12'h01C, WRITE_SIZE);
    write(12'h020, PROGRAM);
    write(12'h024, LENGTH);
    write(12'h028, 1);
    write(12'h008, 1);
    while (!irq) @(negedge clk);
    read(12'h00C);
    $writememh("result.hex", memory, WRITE_BASE, WRITE_BASE + WRITE_SIZE - 1);
    $finish;
  end
  initial #2000000 begin
    $display("no interrupt");
    $finish;
  end
endmodule
