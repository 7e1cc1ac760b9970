using System.Text;

namespace Isthmus.Testing;

/// <summary>
/// A plugin in WebAssembly, assembled byte by byte: it adds a header field to each response, with its configuration as the value (ABI 0.2.1 of Proxy-Wasm).
/// </summary>
public static class WasmModule
{
    private const byte I32 = 0x7f, Function = 0x60, End = 0x0b, Call = 0x10, LocalGet = 0x20, GlobalGet = 0x23, GlobalSet = 0x24, Load = 0x28, Const = 0x41,
        Add = 0x6a, If = 0x04, Empty = 0x40;

    /// <summary>Where the module has the name of its field, the place of the value, and its heap.</summary>
    private const int NameAt = 16, ValueAt = 1024, DefaultAt = 1040, HeapAt = 4096;

    private const int PluginConfiguration = 7, ResponseHeaders = 2;

    /// <summary>The value where nothing is configured.</summary>
    public const string Unconfigured = "ran";

    public static byte[] AddingHeader(string name)
    {
        var key = Encoding.ASCII.GetBytes(name);
        byte[][] types =
        [
            Type([I32, I32, I32, I32, I32], I32), // 0: both calls of the host
            Type([], null), // 1: the version of the ABI
            Type([I32], I32), // 2: malloc
            Type([I32, I32], I32), // 3: on_configure
            Type([I32, I32, I32], I32), // 4: on_response_headers
            Type([I32, I32], null), // 5: on_context_create
        ];
        byte[][] imports = [Import("proxy_add_header_map_value", 0), Import("proxy_get_buffer_bytes", 0)];
        byte[][] bodies =
        [
            Body([]),
            // malloc: the heap only grows
            Body([GlobalGet, 0, GlobalGet, 0, LocalGet, 0, Add, GlobalSet, 0]),
            Body([LocalGet, 1, If, Empty, .. Of(PluginConfiguration), .. Of(0), LocalGet, 1, .. Of(ValueAt), .. Of(ValueAt + 4), Call, 1, 0x1a, End, .. Of(1)]),
            Body([.. Of(ResponseHeaders), .. Of(NameAt), .. Of(key.Length), .. LoadFrom(ValueAt), .. LoadFrom(ValueAt + 4), Call, 0, 0x1a, .. Of(0)]),
            Body([]),
        ];
        byte[][] exports =
        [
            Export("memory", 2, 0), Export("proxy_abi_version_0_2_1", 0, 2), Export("malloc", 0, 3), Export("proxy_on_configure", 0, 4),
            Export("proxy_on_response_headers", 0, 5), Export("proxy_on_context_create", 0, 6),
        ];
        byte[] fallback = [.. BitConverter.GetBytes(DefaultAt), .. BitConverter.GetBytes(Unconfigured.Length), .. new byte[8],
            .. Encoding.ASCII.GetBytes(Unconfigured)];
        byte[][] data = [Data(NameAt, key), Data(ValueAt, fallback)];
        return
        [
            .. "\0asm"u8, 1, 0, 0, 0,
            .. Section(1, types), .. Section(2, imports), .. Section(3, [.. ((byte[])[1, 2, 3, 4, 5]).Select(type => (byte[])[type])]), .. Section(5, [[0, 1]]),
            .. Section(6, [[I32, 1, .. Of(HeapAt), End]]), .. Section(7, exports), .. Section(10, bodies), .. Section(11, data),
        ];
    }

    private static byte[] Section(byte id, byte[][] items)
    {
        byte[] content = [.. Number(items.Length), .. items.SelectMany(item => item)];
        return [id, .. Number(content.Length), .. content];
    }

    private static byte[] Type(byte[] parameters, byte? result) =>
        [Function, .. Number(parameters.Length), .. parameters, .. result is { } one ? (byte[])[1, one] : [0]];

    private static byte[] Import(string name, int type) => [.. Text("env"), .. Text(name), 0, .. Number(type)];

    private static byte[] Export(string name, byte kind, int index) => [.. Text(name), kind, .. Number(index)];

    private static byte[] Body(byte[] code) => [.. Number(code.Length + 2), 0, .. code, End];

    private static byte[] Data(int at, byte[] bytes) => [0, .. Of(at), End, .. Number(bytes.Length), .. bytes];

    private static byte[] Of(int value) => [Const, .. Signed(value)];

    private static byte[] LoadFrom(int at) => [.. Of(at), Load, 2, 0];

    private static byte[] Text(string text) => [.. Number(text.Length), .. Encoding.ASCII.GetBytes(text)];

    private static byte[] Number(int value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
        return [.. bytes, (byte)value];
    }

    /// <summary>Of a value that is not negative: the highest bit of the last byte is the sign.</summary>
    private static byte[] Signed(int value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x40; value >>= 7) bytes.Add((byte)(value & 0x7f | 0x80));
        return [.. bytes, (byte)value];
    }
}
