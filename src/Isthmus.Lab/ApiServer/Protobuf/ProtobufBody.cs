namespace Isthmus.Lab.ApiServer.Protobuf;

/// <summary>Protobuf bodies as JSON.</summary>
internal static class ProtobufBody
{
    internal static byte[] ToJson(byte[] body, KindDescriptor kind) => ToJson(body, kind.Schema!);

    internal static byte[] ToJson(byte[] body, TypeSchema type) => throw new ApiException(415, "UnsupportedMediaType", "protobuf");
}
