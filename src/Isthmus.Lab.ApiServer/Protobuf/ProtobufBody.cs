using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Protobuf;

/// <summary>
/// Bodies as kubectl 1.32 sends them: `k8s\0`, then a runtime.Unknown {1: TypeMeta {1: apiVersion, 2: kind}, 2: the object, 3: encoding, 4:
/// content type}.
/// They become JSON by the types' field numbers; then everything goes on as for JSON.
/// </summary>
internal static class ProtobufBody
{
    private static ReadOnlySpan<byte> Magic => "k8s\0"u8;

    internal static byte[] ToJson(byte[] body, KindDescriptor kind) => ToJson(body, kind.Schema!);

    /// <exception cref="ApiException">400: the body does not have this form.</exception>
    internal static byte[] ToJson(byte[] body, TypeSchema type)
    {
        if (!body.AsSpan().StartsWith(Magic))
            throw ApiException.BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
        try
        {
            return JsonText.ToBytes(Read(body.AsSpan(Magic.Length), type));
        }
        catch (WireException e)
        {
            throw ApiException.BadRequest($"the body is not valid protobuf for {type.Name}: {e.Message}");
        }
    }

    private static JsonObject Read(ReadOnlySpan<byte> unknown, TypeSchema type)
    {
        string apiVersion = "", kind = "";
        JsonObject? o = null;
        var reader = new WireReader(unknown);
        while (reader.Next())
        {
            switch (reader.Number)
            {
                case 1:
                    var typeMeta = new WireReader(reader.Bytes());
                    while (typeMeta.Next())
                    {
                        if (typeMeta.Number == 1) apiVersion = typeMeta.Text();
                        else if (typeMeta.Number == 2) kind = typeMeta.Text();
                        else typeMeta.Skip();
                    }
                    break;
                case 2:
                    o = new ProtobufObject().Message(reader.Bytes(), type, 0);
                    break;
                case 3:
                    if (reader.Text().Length > 0) throw new WireException("encoded content is not supported");
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        o ??= [];
        if (apiVersion.Length > 0) o["apiVersion"] = apiVersion;
        if (kind.Length > 0) o["kind"] = kind;
        return o;
    }
}

/// <summary>The bytes break the rules of protobuf's wire format.</summary>
internal sealed class WireException(string message) : Exception(message);

/// <summary>Walks over the fields of one message.</summary>
internal ref struct WireReader(ReadOnlySpan<byte> data)
{
    private static readonly UTF8Encoding Utf8 = new(false, true);
    private readonly ReadOnlySpan<byte> _data = data;
    private int _at;

    internal int Number { get; private set; }

    internal int WireType { get; private set; }

    internal bool Next()
    {
        if (_at >= _data.Length) return false;
        var tag = Varint();
        Number = (int)(tag >> 3);
        WireType = (int)(tag & 7);
        return Number > 0 && tag <= uint.MaxValue ? true : throw new WireException($"bad field tag {tag}");
    }

    internal readonly bool HasMore => _at < _data.Length;

    internal ulong Varint()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            if (_at >= _data.Length) throw new WireException("truncated number");
            var b = _data[_at++];
            value |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80) return value;
        }
        throw new WireException("number too long");
    }

    internal ReadOnlySpan<byte> Bytes()
    {
        if (WireType != 2) throw new WireException($"field {Number} has wire type {WireType} where bytes are expected");
        var length = Varint();
        if (length > (ulong)(_data.Length - _at)) throw new WireException("truncated field");
        var bytes = _data.Slice(_at, (int)length);
        _at += (int)length;
        return bytes;
    }

    internal string Text()
    {
        try
        {
            return Utf8.GetString(Bytes());
        }
        catch (DecoderFallbackException)
        {
            throw new WireException($"field {Number} is not UTF-8");
        }
    }

    internal double Double()
    {
        if (WireType != 1 || _data.Length - _at < 8) throw new WireException("truncated field");
        var value = BitConverter.ToDouble(_data.Slice(_at, 8));
        _at += 8;
        return value;
    }

    internal long Number64() => WireType == 0 ? (long)Varint() : throw new WireException($"field {Number} has wire type {WireType} where a number is expected");

    internal void Skip()
    {
        var length = WireType switch
        {
            0 => 0,
            1 => 8,
            2 => Bytes().Length * 0,
            5 => 4,
            _ => throw new WireException($"wire type {WireType} is not supported")
        };
        if (WireType == 0) Varint();
        if (length > _data.Length - _at) throw new WireException("truncated field");
        _at += length;
    }
}
