namespace Isthmus.Wire.Grpc;

/// <summary>How a call ended (gRPC "Status codes and their use in gRPC").</summary>
public enum GrpcCode
{
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// <summary>A call that did not end with <see cref="GrpcCode.Ok"/>: thrown by a handler to end a call, and by a channel
/// when the peer ended it.</summary>
public sealed class GrpcException(GrpcCode code, string detail, Exception? cause = null) : Exception($"{code}: {detail}", cause)
{
    public GrpcCode Code { get; } = code;

    /// <summary>The peer's message, without the code.</summary>
    public string Detail { get; } = detail;
}
