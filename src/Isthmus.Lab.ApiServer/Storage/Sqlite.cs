using System.Runtime.InteropServices;

namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>A call to SQLite failed: disk full, no permission, a damaged file.</summary>
public sealed class SqliteException(string message) : Exception(message);

/// <summary>One connection to a database file, for one thread at a time.</summary>
internal sealed unsafe partial class SqliteConnection : IDisposable
{
    private const string Library = "libsqlite3.so.0";
    private const int ReadWrite = 0x2, Create = 0x4, NoMutex = 0x8000;
    private nint _handle;

    internal SqliteConnection(string path)
    {
        var result = sqlite3_open_v2(path, out _handle, ReadWrite | Create | NoMutex, 0);
        if (result == 0) return;
        var why = _handle == 0 ? $"error {result}" : ErrorText();
        Dispose();
        throw new SqliteException($"cannot open the database {path}: {why}");
    }

    internal void Execute(string sql)
    {
        if (sqlite3_exec(_handle, sql, 0, 0, 0) != 0) throw new SqliteException($"{ErrorText()} (in: {sql})");
    }

    internal SqliteStatement Prepare(string sql)
    {
        if (sqlite3_prepare_v2(_handle, sql, -1, out var statement, 0) != 0) throw new SqliteException($"{ErrorText()} (in: {sql})");
        return new(this, statement);
    }

    internal string ErrorText() => Marshal.PtrToStringUTF8(sqlite3_errmsg(_handle)) ?? "unknown error";

    public void Dispose()
    {
        if (_handle != 0) sqlite3_close_v2(_handle);
        _handle = 0;
    }

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int sqlite3_open_v2(string path, out nint handle, int flags, nint vfs);

    [LibraryImport(Library)]
    private static partial int sqlite3_close_v2(nint handle);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int sqlite3_exec(nint handle, string sql, nint callback, nint argument, nint error);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int sqlite3_prepare_v2(nint handle, string sql, int length, out nint statement, nint tail);

    [LibraryImport(Library)]
    private static partial nint sqlite3_errmsg(nint handle);
}

/// <summary>A prepared statement; parameters and columns are numbered as SQLite does: from 1, and from 0.</summary>
internal sealed unsafe partial class SqliteStatement(SqliteConnection connection, nint statement) : IDisposable
{
    private const string Library = "libsqlite3.so.0";
    private const int Row = 100, Done = 101;
    private static readonly nint Transient = -1; // SQLite copies the bytes before the call returns

    internal SqliteStatement Bind(int index, long value) => Check(sqlite3_bind_int64(statement, index, value));

    internal SqliteStatement Bind(int index, string value)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(value);
        fixed (byte* start = bytes.Length == 0 ? new byte[1] : bytes) return Check(sqlite3_bind_text(statement, index, start, bytes.Length, Transient));
    }

    internal SqliteStatement Bind(int index, ReadOnlySpan<byte> value)
    {
        fixed (byte* start = value) return Check(sqlite3_bind_blob(statement, index, start, value.Length, Transient));
    }

    internal SqliteStatement BindNull(int index) => Check(sqlite3_bind_null(statement, index));

    /// <returns>True while there is a row.</returns>
    internal bool Step()
    {
        var result = sqlite3_step(statement);
        if (result is Row or Done) return result == Row;
        var why = connection.ErrorText();
        sqlite3_reset(statement);
        throw new SqliteException(why);
    }

    /// <summary>Runs a statement without rows and makes it ready for the next use.</summary>
    internal void Run()
    {
        Step();
        sqlite3_reset(statement);
    }

    internal long Int64(int column) => sqlite3_column_int64(statement, column);

    internal string Text(int column) => System.Text.Encoding.UTF8.GetString(Blob(column));

    internal bool IsNull(int column) => sqlite3_column_type(statement, column) == 5;

    internal ReadOnlySpan<byte> Blob(int column)
    {
        var start = sqlite3_column_blob(statement, column);
        return new(start, sqlite3_column_bytes(statement, column));
    }

    public void Dispose() => sqlite3_finalize(statement);

    private SqliteStatement Check(int result) => result == 0 ? this : throw new SqliteException(connection.ErrorText());

    [LibraryImport(Library)]
    private static partial int sqlite3_bind_int64(nint statement, int index, long value);

    [LibraryImport(Library)]
    private static partial int sqlite3_bind_text(nint statement, int index, byte* value, int length, nint destructor);

    [LibraryImport(Library)]
    private static partial int sqlite3_bind_blob(nint statement, int index, byte* value, int length, nint destructor);

    [LibraryImport(Library)]
    private static partial int sqlite3_bind_null(nint statement, int index);

    [LibraryImport(Library)]
    private static partial int sqlite3_step(nint statement);

    [LibraryImport(Library)]
    private static partial int sqlite3_reset(nint statement);

    [LibraryImport(Library)]
    private static partial int sqlite3_finalize(nint statement);

    [LibraryImport(Library)]
    private static partial long sqlite3_column_int64(nint statement, int column);

    [LibraryImport(Library)]
    private static partial byte* sqlite3_column_blob(nint statement, int column);

    [LibraryImport(Library)]
    private static partial int sqlite3_column_bytes(nint statement, int column);

    [LibraryImport(Library)]
    private static partial int sqlite3_column_type(nint statement, int column);
}
